// busy.v - a design that keeps nextpnr busy for some seconds: shift registers with feedback that add each other up.
module busy(input clk, input [3:0] key, output reg [7:0] led);
	parameter LANES = 18, BITS = 20;
	reg [BITS-1:0] lane [0:LANES-1];
	integer i;
	initial
		for (i = 0; i < LANES; i = i + 1)
			lane[i] = 20'hace1 * (i + 3);
	always @(posedge clk) begin
		for (i = 0; i < LANES; i = i + 1)
			lane[i] <= {lane[i][BITS-2:0], lane[i][BITS-1] ^ lane[i][2]} + (lane[(i + 1) % LANES] ^ {5{key}});
		led <= lane[0][7:0] ^ lane[LANES-1][15:8];
	end
endmodule

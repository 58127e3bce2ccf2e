// blink.v - a small design for yosys and nextpnr: a counter, a shift register with feedback, a little arithmetic.
module blink(input clk, input [3:0] key, output reg [7:0] led);
	reg [23:0] count = 0;
	reg [15:0] lfsr = 16'hace1;
	wire feedback = lfsr[0] ^ lfsr[2] ^ lfsr[3] ^ lfsr[5];
	always @(posedge clk) begin
		count <= count + 1;
		if (&count[17:0])
			lfsr <= {feedback, lfsr[15:1]};
		led <= key[0] ? lfsr[7:0] + {4'b0, key} : count[23:16] ^ {2{key}};
	end
endmodule

// app.ts - what esbuild bundles.
import { greet, Shape, type Named } from "./lib";

enum Colour { Red = 1, Green, Blue }

class Circle extends Shape implements Named {
	#radius: number;
	constructor(readonly name: string, radius: number) {
		super();
		this.#radius = radius;
	}
	override area(): number {
		return Math.PI * this.#radius ** 2;
	}
}

const shapes: Shape[] = [new Circle("unit", 1), new Circle("two", 2)];
console.log(greet(shapes.map((s) => s.area().toFixed(2)).join(", ")), Colour[2], shapes?.[5]?.area() ?? "none");

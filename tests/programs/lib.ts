// lib.ts - what app.ts imports.
export interface Named {
	readonly name: string;
}
export abstract class Shape {
	abstract area(): number;
}
export function greet<T>(what: T): string {
	return `areas: ${what}`;
}
export const unused = () => "goes away";

// The types of what the pages use of lean-qr.

export interface Bitmap {
  readonly size: number;
  get(x: number, y: number): boolean;
}

export function generate(text: string): Bitmap;

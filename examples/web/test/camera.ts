import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { encodeQR } from "qr";

/** What Chromium's fake camera shows; it is read when a page begins to look. */
export const FILM = join(tmpdir(), `tillbook-camera-${process.pid}.y4m`);

const SIDE = 480;

/** Puts a QR code before the camera. */
export async function film(text: string): Promise<void> {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: 4 });
  const scale = Math.floor(SIDE / rows.length);
  const light = Buffer.alloc(SIDE * SIDE, 235);
  for (let y = 0; y < rows.length * scale; y++) {
    for (let x = 0; x < rows.length * scale; x++) {
      if (rows[Math.floor(y / scale)]?.[Math.floor(x / scale)]) {
        light[y * SIDE + x] = 16;
      }
    }
  }
  const gray = Buffer.alloc((SIDE * SIDE) / 2, 128);
  const frame = Buffer.concat([Buffer.from("FRAME\n"), light, gray]);
  await writeFile(FILM, Buffer.concat([Buffer.from(`YUV4MPEG2 W${SIDE} H${SIDE} F10:1 Ip A1:1 C420jpeg\n`), frame, frame, frame]));
}

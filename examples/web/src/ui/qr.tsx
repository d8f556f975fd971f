import { encodeQR } from "qr";
import { useMemo } from "preact/hooks";

/**
 * Draws a text as a QR code, dark on light in any theme, since readers expect that,
 * and with the quiet zone of four modules that they need.
 */
export function QRCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => draw(text), [text]);
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#0c1a14" />
    </svg>
  );
}

function draw(text: string): { size: number; path: string } {
  const rows = encodeQR(text, "raw", { ecc: "medium", border: 4 });
  const parts: string[] = [];
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x++) {
      const start = x;
      while (row[x]) {
        x++;
      }
      if (x > start) {
        parts.push(`M${start} ${y}h${x - start}v1h-${x - start}z`);
      }
    }
  });
  return { size: rows.length, path: parts.join("") };
}

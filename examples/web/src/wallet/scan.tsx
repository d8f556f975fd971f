import { useEffect, useRef, useState } from "preact/hooks";

import { Button } from "../ui/controls.js";
import { Icon } from "../ui/icon.js";

/** The longest side that is searched, in pixels: more costs time and finds no more. */
const MAX_SIDE = 1000;
const PAUSE_MS = 120;

/** Reads codes from the camera until one is found. */
export function Camera({ onFound, close }: { onFound: (text: string) => void; close: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const control = new AbortController();
    watch(video.current, control.signal).then(
      (text) => text !== undefined && onFound(text),
      (error: unknown) => setTrouble(refusal(error)),
    );
    return () => control.abort();
  }, []);
  return (
    <section class="card camera">
      <div class="viewfinder">
        <video ref={video} muted playsInline aria-label="Camera" />
        <span class="corners" />
      </div>
      <p class="note" role="status">
        {trouble || "Hold the code inside the frame."}
      </p>
      <Button wide icon="cross" onClick={close}>
        Stop
      </Button>
    </section>
  );
}

/** Reads a code from a picture, for who has no camera or was sent one. */
export function PictureButton({ onFound, onNothing }: { onFound: (text: string) => void; onNothing: (why: string) => void }) {
  const read = async (file: File | undefined) => {
    if (file === undefined) {
      return;
    }
    const picture = await createImageBitmap(file).catch(() => undefined);
    const text = picture && (await decode(picture, picture.width, picture.height));
    if (text === undefined) {
      onNothing("There is no code in this picture.");
    } else {
      onFound(text);
    }
  };
  return (
    <label class="button quiet wide file">
      <input type="file" accept="image/*" onChange={(event) => void read(event.currentTarget.files?.[0])} />
      <span class="label">
        <Icon name="picture" />
        From a picture
      </span>
    </label>
  );
}

async function watch(video: HTMLVideoElement | null, signal: AbortSignal): Promise<string | undefined> {
  if (video === null) {
    return undefined;
  }
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    video.srcObject = stream;
    await video.play();
    while (!signal.aborted) {
      const text = await decode(video, video.videoWidth, video.videoHeight);
      if (text !== undefined) {
        return signal.aborted ? undefined : text;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return undefined;
  } finally {
    for (const track of stream.getTracks()) {
      track.stop();
    }
  }
}

/** Looks for a code. The decoder is loaded when it is first needed. */
async function decode(source: CanvasImageSource, width: number, height: number): Promise<string | undefined> {
  const { decodeQR } = await import("qr/decode.js");
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height, 1));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null || canvas.width === 0 || canvas.height === 0) {
    return undefined;
  }
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  try {
    return decodeQR({ width: canvas.width, height: canvas.height, data });
  } catch {
    return undefined; // No code, or none that can be read.
  }
}

function refusal(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  return name === "NotAllowedError" ? "The browser doesn't let this page use the camera." : "There is no camera that can be used.";
}

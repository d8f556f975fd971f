import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

import { FILM } from "./camera.js";
import { type Server, startServer } from "./server.js";

const SHOTS = new URL("../build/shots/", import.meta.url);
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WAIT_MS = 30_000;
/** What counts as a good page: a shift of a tenth of the screen, as web vitals have it. */
const MAX_SHIFT = 0.1;

/** What people hold in their hands. */
export interface Device {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly dark: boolean;
}

export const PHONE: Device = { name: "phone", width: 390, height: 844, dark: false };
export const DARK_PHONE: Device = { name: "phone-dark", width: 390, height: 844, dark: true };
export const DESKTOP: Device = { name: "desktop", width: 1280, height: 800, dark: false };
export const DARK_DESKTOP: Device = { name: "desktop-dark", width: 1280, height: 800, dark: true };

let server: Server | undefined;
let browser: Browser | undefined;

/** Opens the theater, which all stories share, for as long as a suite takes. */
export async function open(): Promise<void> {
  browser = await launch();
  server = await startServer();
}

/** Closes it. */
export async function close(): Promise<void> {
  await browser?.close();
  await server?.stop();
  await rm(FILM, { force: true });
}

/** Chromium looks for nothing outside of this machine. Root can't have its own sandbox. */
function launch(): Promise<Browser> {
  const executablePath = [process.env["CHROMIUM"] ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => path !== "" && existsSync(path));
  assert.ok(executablePath, "there is no Chromium: install it, or name it with CHROMIUM");
  return chromium.launch({
    executablePath,
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      "--use-fake-device-for-media-stream",
      `--use-file-for-fake-video-capture=${FILM}`,
      "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

/** A LayoutShift, which TypeScript's library doesn't know. */
interface Shift {
  readonly value: number;
  readonly hadRecentInput: boolean;
  readonly sources: readonly { readonly node?: Node | null }[];
}

/** Somebody with a device of their own: nothing is shared with others but the server. */
export class Visitor {
  private readonly faults: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
    private readonly device: Device,
  ) {
    page.setDefaultTimeout(WAIT_MS);
    page.on("pageerror", (error) => this.faults.push(String(error)));
    page.on("console", (message) => {
      // A refusal is an answer, though Chromium calls it an error.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        this.faults.push(message.text());
      }
    });
  }

  /** Opens the page on a device. */
  static async come(device: Device, path = "/"): Promise<Visitor> {
    assert.ok(browser && server);
    const { width, height, dark } = device;
    const context = await browser.newContext({
      baseURL: server.url,
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
      reducedMotion: "reduce", // Else colors would be judged while they change.
      hasTouch: width < 600,
      locale: "en-US",
      timezoneId: "Africa/Nairobi",
      permissions: ["clipboard-read", "clipboard-write", "camera"],
    });
    await context.addInitScript(() => {
      const shifts = { total: 0, seen: [] as string[] };
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & Shift)[]) {
          if (!entry.hadRecentInput) {
            shifts.total += entry.value;
            shifts.seen.push(`${entry.value.toFixed(3)} at ${location.pathname}: ${entry.sources.map(({ node }) => (node as Element | null)?.outerHTML?.slice(0, 80)).join(" | ")}`);
          }
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    const visitor = new Visitor(await context.newPage(), context, device);
    await visitor.page.goto(path);
    return visitor;
  }

  /** Checks the screen as it is and keeps a picture of it: build/shots/NAME-DEVICE.png. */
  async look(name: string): Promise<void> {
    const wide = await this.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${name} is ${wide} pixels wider than the screen`);
    await this.page.screenshot({ path: this.shot(`${name}-${this.device.name}.png`), fullPage: true });
    await this.page.evaluate(AXE);
    const broken = await this.page.evaluate(async () => {
      const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> } };
      return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`);
    });
    assert.deepEqual(broken, [], `${name} is hard to use for some`);
  }

  /** Keeps what a printer would put on paper: build/shots/NAME-DEVICE.pdf, and how the screen would show it. */
  async print(name: string): Promise<void> {
    await this.page.screenshot({ path: this.shot(`${name}-${this.device.name}.png`), fullPage: true });
    await this.page.pdf({ path: this.shot(`${name}-${this.device.name}.pdf`) });
  }

  private shot(file: string): string {
    return fileURLToPath(new URL(file, SHOTS));
  }

  /** Leaves, and tells of what went wrong meanwhile. */
  async leave(): Promise<void> {
    const shifts = await this.page.evaluate(() => (globalThis as unknown as { shifts: { total: number; seen: string[] } }).shifts);
    await this.context.close();
    assert.deepEqual(this.faults, []);
    assert.ok(shifts.total < MAX_SHIFT, `the page jumped:\n${shifts.seen.join("\n")}`);
  }
}

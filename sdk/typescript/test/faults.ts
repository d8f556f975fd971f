import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

import type { Fetch } from "@tillbook/sdk";

import { freePort } from "./server.js";

/** What happens to a request on its way to the real server. */
export type Fault = "lost request" | "lost answer" | "bad gateway" | "unreachable" | "none";

/** A fetch that does to requests what a bad network does, as planned, and counts them. */
export class Network {
  private readonly plans: { procedure: string; fault: Fault }[] = [];
  private readonly arrived: string[] = [];

  /** Plans what happens to the next requests of a procedure, such as "WalletService/Transfer". */
  plan(procedure: string, ...faults: Fault[]): void {
    this.plans.push(...faults.map((fault) => ({ procedure, fault })));
  }

  /** Returns how many requests of a procedure were sent. */
  count(procedure: string): number {
    return this.arrived.filter((path) => path.endsWith(procedure)).length;
  }

  readonly fetch: Fetch = async (input, init) => {
    const url = String(input);
    const n = this.plans.findIndex(({ procedure }) => url.endsWith(procedure));
    const [planned] = n < 0 ? [] : this.plans.splice(n, 1);
    if (planned?.fault === "unreachable") {
      return await fetch(`http://127.0.0.1:${await freePort()}/`, init); // Refused, really.
    }
    this.arrived.push(url);
    switch (planned?.fault) {
      case "lost request":
        throw new TypeError("fetch failed", { cause: new Error("read ECONNRESET") });
      case "bad gateway":
        return new Response("<html>", { status: 502, headers: { "Content-Type": "text/html" } });
    }
    const response = await fetch(input, init);
    if (planned?.fault === "lost answer") {
      await response.text();
      throw new TypeError("fetch failed", { cause: new Error("read ECONNRESET") });
    }
    return response;
  };
}

/** A relay of TCP connections that can be cut. */
export class Relay {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async to(target: string): Promise<Relay> {
    const { port } = new URL(target);
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const address = server.address() as { port: number };
    const relay = new Relay(server, `http://127.0.0.1:${address.port}`);
    server.on("connection", (socket) => relay.join(socket, connect(Number(port), "127.0.0.1")));
    return relay;
  }

  private join(...[near, far]: [Socket, Socket]): void {
    for (const [socket, other] of [[near, far] as const, [far, near] as const]) {
      this.sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.sockets) {
      socket.resetAndDestroy();
    }
  }

  /** Cuts, and takes no connection any more. */
  close(): void {
    this.server.close();
    this.cut();
  }
}

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions, Client } from "@connectrpc/connect";

import { present } from "./auth.js";
import type { Message } from "./gen/tillbook/sandbox/v1/sandbox_pb.js";
import type { FundRequestSchema, SandboxService } from "./gen/tillbook/sandbox/v1/sandbox_service_pb.js";
import type { Transaction } from "./gen/tillbook/wallet/v1/wallet_pb.js";
import { pages } from "./page.js";
import { Scope } from "./scope.js";

const CODE_WAIT_MS = 10_000;
const CODE_POLL_MS = 50;
/** Bounds what code remembers; then it begins anew. */
const MAX_GIVEN = 10_000;

/**
 * Stands in for the outside world while developing. Servers without a sandbox
 * answer its calls with UNIMPLEMENTED.
 */
export class Sandbox {
  private readonly given = new Map<string, number>(); // Number -> when the code was sent that was returned last.

  constructor(private readonly rpc: Client<typeof SandboxService>) {}

  /** Lists the SMS messages that would have gone to a number, newest first. */
  messages(phoneNumber: string, options?: CallOptions): AsyncGenerator<Message, void> {
    return pages(async (pageToken) => {
      const { messages, nextPageToken } = await this.rpc.listMessages({ phoneNumber, pageToken }, options);
      return { items: messages, nextPageToken };
    });
  }

  /**
   * Returns the newest code that was sent to a number and that it hasn't returned
   * before, once it is there: messages go out behind the answers of the calls that
   * cause them. It waits 10 seconds unless the options say otherwise.
   */
  async code(phoneNumber: string, options?: CallOptions): Promise<string> {
    const scope = new Scope(options?.signal, options?.timeoutMs ?? CODE_WAIT_MS);
    try {
      for (;;) {
        const code = await this.newCode(phoneNumber, { signal: scope.signal });
        if (code !== "") {
          return code;
        }
        if (!(await scope.pause(CODE_POLL_MS))) {
          throw new Error(`tillbook: no new code was sent to ${phoneNumber}`);
        }
      }
    } finally {
      scope.end();
    }
  }

  /** Looks once. */
  private async newCode(phoneNumber: string, options: CallOptions): Promise<string> {
    for await (const { text, createTime } of this.messages(phoneNumber, options)) {
      const code = /\b[0-9]{6}\b/.exec(text)?.[0];
      if (code === undefined || createTime === undefined) {
        continue;
      }
      if (timestampMs(createTime) <= (this.given.get(phoneNumber) ?? 0)) {
        return "";
      }
      if (this.given.size >= MAX_GIVEN) {
        this.given.clear();
      }
      this.given.set(phoneNumber, timestampMs(createTime));
      return code;
    }
    return "";
  }

  /** Gives a user money from outside. Idempotency keys and unknown outcomes work as with wallet.transfer. */
  async fund(request: MessageInitShape<typeof FundRequestSchema>, options?: CallOptions): Promise<Transaction> {
    return present((await this.rpc.fund(request, options)).transaction);
  }
}

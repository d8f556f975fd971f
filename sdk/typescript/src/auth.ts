import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";

import type { Challenge, SessionSummary, User } from "./gen/tillbook/auth/v1/auth_pb.js";
import {
  type AuthService,
  type ChangePasswordRequestSchema,
  type CompletePasswordResetRequestSchema,
  LoginRequestSchema,
  type RegisterRequestSchema,
} from "./gen/tillbook/auth/v1/auth_service_pb.js";
import { isTillbookError } from "./error.js";
import { pages } from "./page.js";
import { isFinal, type Sessions } from "./session.js";

/** Names a challenge: what the server answered with, or no more than its id. */
export type ChallengeId = Pick<Challenge, "challengeId">;

/**
 * Registers people and signs them in and out. Whoever signs in last is the one that
 * the client acts for.
 *
 * A call that sends a code or tries a password or a code is sent once: it is
 * repeated only if it surely never left, since a second one could cost an SMS or
 * one of the few tries.
 */
export class Auth {
  constructor(
    private readonly rpc: Client<typeof AuthService>,
    private readonly keeper: Sessions,
  ) {}

  /** Begins a registration and has a code sent by SMS. Nothing exists until verifyPhone. */
  async register(request: MessageInitShape<typeof RegisterRequestSchema>, options?: CallOptions): Promise<Challenge> {
    return present((await this.rpc.register(request, options)).challenge);
  }

  /** Completes a registration with the code from the SMS and signs in. */
  async verifyPhone({ challengeId }: ChallengeId, code: string, options?: CallOptions): Promise<User> {
    const { session, user } = await this.rpc.verifyPhone({ challengeId, code }, options);
    await this.keeper.signIn(session);
    return present(user);
  }

  /** Has another code sent for a challenge and makes the first invalid. */
  async resendCode({ challengeId }: ChallengeId, options?: CallOptions): Promise<Challenge> {
    return present((await this.rpc.resendCode({ challengeId }, options)).challenge);
  }

  /**
   * Signs in. On a device that was verified before, whose token the client still
   * has, it is done at once, and there is no challenge. Else a code was sent by
   * SMS: answer the challenge with verifyLogin.
   */
  async login(
    request: MessageInitShape<typeof LoginRequestSchema>,
    options?: CallOptions,
  ): Promise<Challenge | undefined> {
    const known = await this.keeper.export().catch(() => undefined);
    const message = clone(LoginRequestSchema, create(LoginRequestSchema, request));
    message.deviceToken ||= known?.deviceToken ?? "";
    const { result } = await this.rpc.login(message, options);
    if (result.case === "challenge") {
      return result.value;
    }
    await this.keeper.signIn(result.value);
    return undefined;
  }

  /** Completes a sign-in with the code from the SMS. */
  async verifyLogin({ challengeId }: ChallengeId, code: string, options?: CallOptions): Promise<User> {
    const { session, user } = await this.rpc.verifyLogin({ challengeId, code }, options);
    await this.keeper.signIn(session);
    return present(user);
  }

  /**
   * Ends the session. The device's token is kept, so that the next login needs no
   * code. A session that has ended already is no error.
   */
  async logout(options?: CallOptions): Promise<void> {
    try {
      await this.rpc.logout({}, options);
    } catch (error) {
      if (!isTillbookError(error) || !isFinal(error)) {
        throw error;
      }
    }
    await this.keeper.signOut();
  }

  /** Lists the user's live sessions, newest first. */
  sessions(options?: CallOptions): AsyncGenerator<SessionSummary, void> {
    return pages(async (pageToken) => {
      const { sessions, nextPageToken } = await this.rpc.listSessions({ pageToken }, options);
      return { items: sessions, nextPageToken };
    });
  }

  /** Ends one of the user's sessions, such as a lost phone's. */
  async revokeSession(sessionId: string, options?: CallOptions): Promise<void> {
    await this.rpc.revokeSession({ sessionId }, options);
  }

  /** Replaces the password and ends all the user's other sessions. */
  async changePassword(
    request: MessageInitShape<typeof ChangePasswordRequestSchema>,
    options?: CallOptions,
  ): Promise<void> {
    await this.rpc.changePassword(request, options);
  }

  /** Has a code sent to the number, if it has an account. */
  async startPasswordReset(phoneNumber: string, options?: CallOptions): Promise<Challenge> {
    return present((await this.rpc.startPasswordReset({ phoneNumber }, options)).challenge);
  }

  /** Sets a new password with the code and ends all the user's sessions. Log in afterwards. */
  async completePasswordReset(
    request: MessageInitShape<typeof CompletePasswordResetRequestSchema>,
    options?: CallOptions,
  ): Promise<void> {
    await this.rpc.completePasswordReset(request, options);
  }

  /** Returns the user who is signed in. */
  async me(options?: CallOptions): Promise<User> {
    return present((await this.rpc.getMe({}, options)).user);
  }
}

/** Returns what a response always holds. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error("tillbook: the server left out what it always sends");
  }
  return value;
}

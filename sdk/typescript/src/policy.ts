import type { DescMethod } from "@bufbuild/protobuf";

import { AuthService } from "./gen/tillbook/auth/v1/auth_service_pb.js";
import { SandboxService } from "./gen/tillbook/sandbox/v1/sandbox_service_pb.js";
import { SealService } from "./gen/tillbook/seal/v1/seal_service_pb.js";

/** The procedures that take no credentials. All others get the session's. */
const PUBLIC: ReadonlySet<DescMethod> = new Set<DescMethod>([
  AuthService.method.register,
  AuthService.method.verifyPhone,
  AuthService.method.resendCode,
  AuthService.method.login,
  AuthService.method.verifyLogin,
  AuthService.method.refresh,
  AuthService.method.startPasswordReset,
  AuthService.method.completePasswordReset,
  ...SealService.methods,
  ...SandboxService.methods,
]);

/** Whether a procedure is for everybody, signed in or not. */
export function isPublic(method: DescMethod): boolean {
  return PUBLIC.has(method);
}

/** Returns a procedure's name as errors say it, such as "WalletService/Transfer". */
export function procedureOf(method: DescMethod): string {
  return `${method.parent.name}/${method.name}`;
}

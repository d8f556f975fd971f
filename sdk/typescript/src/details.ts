import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";

import { type FieldViolation, type Failure, failureOf, type Reason } from "./error.js";
import { type Outcome, OutcomeInfoSchema } from "./gen/tillbook/error/v1/error_pb.js";

/** What the details of an error say. */
interface Details {
  /** The reason's domain; "tillbook" for the server's own. */
  domain: string;
  reason: string;
  metadata: Record<string, string>;
  fields: FieldViolation[];
  retryAfterMs: number;
  outcome: Outcome;
}

/** Marks the reasons that are Tillbook's own. */
const DOMAIN = "tillbook";

/** Returns what a server or a proxy said, or undefined if it is not from there. */
export function remoteFailure(error: ConnectError, status: number): Failure | undefined {
  const failure = failureOf(error.code, "", error.rawMessage, error);
  const details = readDetails(error, { ...failure, domain: "", fields: [], metadata: {} });
  const answered = status !== 0 && status !== 200 && error.cause === undefined;
  if (details.domain !== DOMAIN && !answered) {
    return undefined; // Made up on this side.
  }
  if (details.domain === DOMAIN) {
    failure.reason = details.reason;
    failure.metadata = details.metadata;
    failure.requestId = details.metadata["request_id"] ?? "";
  }
  failure.reason ||= REASON_OF[failure.code] ?? "";
  failure.fields = details.fields;
  failure.retryAfterMs = details.retryAfterMs;
  failure.outcome = details.outcome;
  return failure;
}

/**
 * Describes a call that got no verdict from a server. Whatever code the error got
 * on this side, what counts is that the connection failed.
 */
export function localFailure(error: ConnectError): Failure {
  switch (error.code) {
    case Code.Unavailable:
    case Code.Unknown:
    case Code.Internal:
    case Code.Canceled:
    case Code.DeadlineExceeded:
      return failureOf(Code.Unavailable, "UNAVAILABLE", error.rawMessage, error);
    default:
      return failureOf(error.code, REASON_OF[error.code] ?? "", error.rawMessage, error);
  }
}

/** Gives a reason to errors without one, from something in between. */
const REASON_OF: Partial<Record<Code, Reason>> = {
  [Code.Canceled]: "CANCELED",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.PermissionDenied]: "PERMISSION_DENIED",
  [Code.Unavailable]: "UNAVAILABLE",
  [Code.Unimplemented]: "UNIMPLEMENTED",
  [Code.Internal]: "INTERNAL",
};

function readDetails(error: ConnectError, details: Details): Details {
  for (const detail of error.details) {
    if ("type" in detail) {
      try {
        READERS[detail.type]?.(detail.value, details);
      } catch {
        continue; // What can't be read says nothing.
      }
    }
  }
  return details;
}

/**
 * The details that the server sends. Those of google.rpc are read by hand: three
 * small messages don't justify another package.
 */
const READERS: Record<string, (bytes: Uint8Array, details: Details) => void> = {
  "google.rpc.ErrorInfo": readErrorInfo,
  "google.rpc.BadRequest": readBadRequest,
  "google.rpc.RetryInfo": readRetryInfo,
  "tillbook.error.v1.OutcomeInfo": (bytes, details) => {
    details.outcome = fromBinary(OutcomeInfoSchema, bytes).outcome;
  },
};

/** google.rpc.ErrorInfo: string reason = 1, string domain = 2, map<string, string> metadata = 3. */
function readErrorInfo(bytes: Uint8Array, details: Details): void {
  const info = { reason: "", domain: "", metadata: {} as Record<string, string> };
  eachField(bytes, {
    1: (value) => (info.reason = text(value)),
    2: (value) => (info.domain = text(value)),
    3: (entry) => {
      const [key, value] = twoTexts(entry);
      info.metadata[key] = value;
    },
  });
  Object.assign(details, info);
}

/** google.rpc.BadRequest: repeated FieldViolation (string field = 1, string description = 2) = 1. */
function readBadRequest(bytes: Uint8Array, details: Details): void {
  eachField(bytes, {
    1: (violation) => {
      const [field, description] = twoTexts(violation);
      details.fields.push({ field, description });
    },
  });
}

/** google.rpc.RetryInfo: google.protobuf.Duration retry_delay = 1. */
function readRetryInfo(bytes: Uint8Array, details: Details): void {
  eachField(bytes, {
    1: (delay) => (details.retryAfterMs = Math.max(0, milliseconds(fromBinary(DurationSchema, delay)))),
  });
}

function twoTexts(bytes: Uint8Array): [string, string] {
  let first = "";
  let second = "";
  eachField(bytes, { 1: (value) => (first = text(value)), 2: (value) => (second = text(value)) });
  return [first, second];
}

/** Hands the fields of a message that are bytes to whoever reads them; it skips the others. */
function eachField(bytes: Uint8Array, fields: Record<number, (value: Uint8Array) => void>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const read = fields[number];
    if (read !== undefined && wireType === 2) {
      read(reader.bytes());
    } else {
      reader.skip(wireType, number);
    }
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function milliseconds(duration: Duration): number {
  return Number(duration.seconds) * 1000 + Math.ceil(duration.nanos / 1e6);
}

import { clone, create, type DescField, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { webcrypto } from "#crypto";

/**
 * Returns a random key of 128 bits. The client makes one up for every request that
 * has a field for it and none in it; make it yourself to write it down before you
 * send, so that even a crash in between can't pay twice.
 */
export function newIdempotencyKey(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether requests of this kind, or each of their items, carry an idempotency key. */
export function isKeyed(schema: DescMessage): boolean {
  return keyField(schema) !== undefined || itemsField(schema) !== undefined;
}

/**
 * Returns a request with an idempotency key, or with one for each of its items. It
 * is a copy: the caller's own stays as it is, since sending it again is meant as
 * another payment.
 */
export function withKeys<D extends DescMessage>(
  schema: D,
  input: MessageInitShape<D>,
): { message: MessageShape<D>; key: string } {
  const message = clone(schema, create(schema, input));
  const field = keyField(schema);
  if (field !== undefined) {
    return { message, key: fillIn(message, field) };
  }
  const items = itemsField(schema);
  for (const item of items === undefined ? [] : listOf(message, items)) {
    fillIn(item, keyField(items?.message));
  }
  return { message, key: "" };
}

function fillIn(message: object, field: DescField | undefined): string {
  if (field === undefined) {
    return "";
  }
  const fields = message as Record<string, string>;
  return (fields[field.localName] ||= newIdempotencyKey());
}

function listOf(message: object, field: DescField): object[] {
  return (message as Record<string, object[]>)[field.localName] ?? [];
}

function keyField(schema: DescMessage | undefined): DescField | undefined {
  return schema?.fields.find((field) => field.name === "idempotency_key");
}

/** Finds the field of a request whose items have keys of their own. */
function itemsField(schema: DescMessage): DescField | undefined {
  const items = schema.fields.find((field) => field.name === "items");
  const list = items?.fieldKind === "list" && items.listKind === "message";
  return list && keyField(items.message) !== undefined ? items : undefined;
}

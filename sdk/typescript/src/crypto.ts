/** What browsers and all but the oldest runtimes have; Node 18 gets it from crypto.node.ts. */
export const webcrypto: Crypto = globalThis.crypto;

// All that this package takes from Node itself. Its types stay out, so that nothing
// else of Node slips into what browsers run.
declare module "node:crypto" {
  export const webcrypto: Crypto;
}

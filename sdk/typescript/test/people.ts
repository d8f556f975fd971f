import { Client, type ClientOptions, Money } from "@tillbook/sdk";

export const PASSWORD = "correct horse battery";

/** Somebody who is signed in. */
export interface Person {
  readonly client: Client;
  readonly username: string;
  readonly phoneNumber: string;
}

/** Registers somebody new, with the code that the sandbox keeps, and gives them money. */
export async function join(options: ClientOptions, ...funds: string[]): Promise<Person> {
  const client = new Client(options);
  const { username, phoneNumber } = stranger();
  const challenge = await client.auth.register({ phoneNumber, username, password: PASSWORD });
  await client.auth.verifyPhone(challenge, await client.sandbox.code(phoneNumber));
  for (const amount of funds) {
    await client.sandbox.fund({ phoneNumber, amount: Money.parse(amount) });
  }
  return { client, username, phoneNumber };
}

/** Returns a name and a number that nobody has. */
export function stranger(): { username: string; phoneNumber: string } {
  const digits = Math.floor(Math.random() * 1e8)
    .toString()
    .padStart(8, "0");
  return { username: `u${digits}`, phoneNumber: `+62812${digits}` };
}

/** Returns what somebody has of an asset. */
export async function has({ client }: Person, asset: string): Promise<string> {
  const balance = (await client.wallet.balances()).find(({ total }) => total?.asset === asset);
  return balance === undefined ? "0" : Money.from(balance.total).amount;
}

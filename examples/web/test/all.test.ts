// All stories play in one process, on one server and in one browser, two at a time.
import { after, before, describe } from "node:test";

import { playShop } from "./shop.js";
import { close, open } from "./stage.js";
import { playWallet } from "./wallet.js";

describe("In the browser", { concurrency: 2 }, () => {
  before(open);
  after(close);
  describe("wallets", { concurrency: 1 }, playWallet);
  describe("shops", { concurrency: 1 }, playShop);
});

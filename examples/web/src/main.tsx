import { render } from "preact";

import { App } from "./app.js";
import "./style/base.css";
import "./style/controls.css";
import "./style/frame.css";
import "./style/wallet.css";
import "./style/shop.css";
import "./style/print.css";

const root = document.getElementById("app");
if (root !== null) {
  render(<App />, root);
}

// All stories play in one process, on one server and in one browser.
import "./wallet.js";
import "./shop.js";

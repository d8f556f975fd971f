import { Client, WebStore } from "@tillbook/sdk";

/** The one client of this page. Its session is in localStorage, so that a reload keeps it. */
export const client = new Client({ baseUrl: location.origin, store: new WebStore("tillbook.session") });

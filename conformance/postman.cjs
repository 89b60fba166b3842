// Runs Microsoft's public SCIM collection through newman and fails unless every request ran and every assertion held.
//
// usage: SCIM_TOKEN=… node postman.cjs COLLECTION BASE-URL
"use strict";

const fs = require("node:fs");
const newman = require("newman");

// The collection's own way to a token, which belongs to Microsoft's sample server; we hand it a token instead.
const TOKEN_FOLDER = "Get Token";

function countRequests(items) {
  return items.reduce((sum, item) => sum + (item.item ? countRequests(item.item) : 1), 0);
}

function fail(message) {
  console.error(`postman: ${message}`);
  process.exitCode = 1;
}

const [collectionPath, baseURL] = process.argv.slice(2);
const base = new URL(baseURL);
const collection = JSON.parse(fs.readFileSync(collectionPath, "utf8"));
collection.item = collection.item.filter((item) => item.name !== TOKEN_FOLDER);
const requests = countRequests(collection.item);

newman.run(
  {
    collection,
    reporters: "cli",
    reporter: { cli: { noBanner: true, noSuccessAssertions: true } },
    envVar: [
      { key: "Protocol", value: base.protocol.replace(":", "") },
      { key: "Server", value: base.hostname },
      { key: "Port", value: base.port && `:${base.port}` },
      { key: "Api", value: base.pathname.replace(/^\//, "") },
      { key: "token", value: process.env.SCIM_TOKEN },
    ],
  },
  (error, summary) => {
    if (error) {
      fail(error.message);
      return;
    }
    const { stats, failures } = summary.run;
    const assertions = stats.assertions.total;
    console.log(`postman: ${stats.requests.total} of ${requests} requests, ${assertions} assertions, ${failures.length} failures`);
    if (stats.requests.total !== requests || stats.requests.failed > 0) {
      fail("not every request was sent and answered");
    }
    if (assertions === 0 || failures.length > 0) {
      fail("not every assertion held");
    }
  },
);

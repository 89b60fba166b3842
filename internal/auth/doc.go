// Package auth turns bearer tokens into callers, and API keys into their holders.
//
// A token is 256 random bits behind the prefix "meibo_", so that secret scanners recognise it. Only
// its SHA-256 is stored: with that much entropy a slow hash would protect nothing and cost every
// request. A token is looked up within the tenant of the address, so one tenant's token is unknown
// to another. An API key is made alike, with the prefix "meibokey_", and names its tenant by itself.
// Revocation, expiry and a connection's new settings count within a second on every replica, because
// nothing that was read is believed for longer than half of one.
package auth

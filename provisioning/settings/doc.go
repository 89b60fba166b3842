// Package settings reads and writes the settings of a connection as a document in YAML or JSON.
//
// A document names a preset, or none, and what departs from it:
//
//	preset: suspend-or-delete
//	deletion:
//	  grace: 90d
//	tolerance:
//	  users: {share: 10}
//
// [Parse] refuses all that is wrong at once, each with its line, key and remedy; [Format] writes the shortest document
// that reads back as the same settings; [Schema] describes documents to editors.
package settings

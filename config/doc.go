// Package config reads the server's own configuration into one typed [Config].
//
// A setting is looked for in five places; the later wins:
//
//	default < meibo.yaml < MEIBO_NAME < file named by MEIBO_NAME_FILE < command-line flag
//
// Whatever is wrong in any of them is reported at once, each with its key, its value and what to do
// about it (see [Problems]). No error and no print shows a secret. The package reads no environment
// by itself: the caller hands it over.
package config

// Command meibo is a self-hosted SCIM 2.0 provisioning server and all its tools in one binary.
package main

import (
	"context"
	"os"
)

// version is stamped by the linker; see the Makefile.
var version = "development"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

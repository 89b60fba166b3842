package endpoint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"meibo/internal/exchange"
)

type header struct{ name, value string }

// recordedFile is a parsed file of testdata.
type recordedFile struct {
	name string // path below this folder, as failures print it
	exchange.Conversation
}

// recorded parses the exchanges of a folder of testdata.
func recorded(t *testing.T, folder string) []recordedFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no exchanges in testdata/%s (%v)", folder, err)
	}
	slices.Sort(paths)
	files := make([]recordedFile, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		x, err := exchange.Parse(string(text))
		if err != nil {
			t.Fatalf("%s:%v", path, err)
		}
		files[i] = recordedFile{path, x}
	}
	return files
}

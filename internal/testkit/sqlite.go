package testkit

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// SQLiteCopy returns the sqlite: URL of a file of t's own: a copy of the one that prepare made, once for this test binary.
// prepare gets the URL of a file that is not there yet, and leaves no connection open.
func SQLiteCopy(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	modelFile.once.Do(func() { modelFile.content, modelFile.err = prepared(t.TempDir(), prepare) })
	if modelFile.err != nil || modelFile.content == nil {
		t.Fatalf("the file to copy was not made: %v", modelFile.err)
	}
	path := filepath.Join(t.TempDir(), "meibo.db")
	if err := os.WriteFile(path, modelFile.content, 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + path
}

// modelFile is what SQLiteCopy copies.
var modelFile struct {
	once    sync.Once
	content []byte
	err     error
}

// prepared is what a file holds once prepare is done. Its last connection has put all of it there and left no other file.
func prepared(dir string, prepare func(url string) error) ([]byte, error) {
	path := filepath.Join(dir, "model.db")
	if err := prepare("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

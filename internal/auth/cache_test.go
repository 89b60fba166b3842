package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

// However many tokens are live, the cache stays within its bound.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	a := New(Options{})
	now := time.Now()
	for i := range uint64(maxCached + 10) {
		var k key
		binary.BigEndian.PutUint64(k.hash[:], i)
		a.keep(k, known{asked: now})
		if len(a.cache) > maxCached {
			t.Fatalf("%d cached, want at most %d", len(a.cache), maxCached)
		}
		if _, ok := a.cached(k, now); !ok {
			t.Fatal("what was just kept is gone")
		}
	}
}

// An answer from the future, as after the clock was set back, would be believed for too long.
func TestCacheDistrustsTheFuture(t *testing.T) {
	t.Parallel()
	a := New(Options{})
	now := time.Now()
	a.keep(key{}, known{asked: now.Add(time.Hour)})
	if _, ok := a.cached(key{}, now); ok {
		t.Error("an answer from the future counts")
	}
}

package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

// However many tokens are live, the cache stays within its bound.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache[digest, int]()
	now := time.Now()
	for i := range uint64(maxCached + 10) {
		var k digest
		binary.BigEndian.PutUint64(k[:], i)
		c.keep(k, 0, now)
		if len(c.answers) > maxCached {
			t.Fatalf("%d cached, want at most %d", len(c.answers), maxCached)
		}
		if _, ok := c.get(k, now); !ok {
			t.Fatal("what was just kept is gone")
		}
	}
}

// An answer from the future, as after the clock was set back, would be believed for too long.
func TestCacheDistrustsTheFuture(t *testing.T) {
	t.Parallel()
	c := newCache[digest, int]()
	now := time.Now()
	c.keep(digest{}, 0, now.Add(time.Hour))
	if _, ok := c.get(digest{}, now); ok {
		t.Error("an answer from the future counts")
	}
}

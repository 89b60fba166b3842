package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	barWidth  = 40
	redrawGap = 100 * time.Millisecond
)

// progress shows how far a long command is: a bar that moves on a terminal, one line at the end anywhere else. It is
// for one goroutine.
type progress struct {
	w           io.Writer
	terminal    bool
	what        string // "users"
	began, last time.Time
}

func newProgress(w io.Writer, what string) *progress {
	return &progress{w: w, terminal: isTerminal(w), what: what, began: time.Now()}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// at says that done things are done and share of the whole, from 0 to 1; a negative share is not known.
func (p *progress) at(done int, share float64) {
	if now := time.Now(); p.terminal && now.Sub(p.last) >= redrawGap {
		p.last = now
		p.draw(done, share)
	}
}

func (p *progress) draw(done int, share float64) {
	if share < 0 {
		fmt.Fprintf(p.w, "\r%-28s %d", p.what, done)
		return
	}
	filled := int(barWidth * min(share, 1))
	fmt.Fprintf(p.w, "\r%-28s [%s%s] %d", p.what, strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), done)
}

// end closes the line.
func (p *progress) end(done int) {
	took := time.Since(p.began).Round(time.Millisecond)
	if p.terminal {
		p.draw(done, 1)
		fmt.Fprintf(p.w, " %s\n", took)
		return
	}
	fmt.Fprintf(p.w, "%s: %d in %s\n", p.what, done, took)
}

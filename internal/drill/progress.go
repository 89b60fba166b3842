package drill

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	barWidth  = 40
	redrawGap = 100 * time.Millisecond
)

// progress shows how far the run is. It is safe for the workers of a phase.
type progress struct {
	w        io.Writer // nil: silent
	terminal bool
	now      func() time.Time

	mu          sync.Mutex
	phase       string
	done, total int
	began, last time.Time
}

func newProgress(w io.Writer, now func() time.Time) *progress {
	return &progress{w: w, terminal: isTerminal(w), now: now}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// begin ends the phase before and starts the next.
func (p *progress) begin(phase string, total int) {
	p.end()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase, p.done, p.total, p.began = phase, 0, total, p.now()
	p.draw(true)
}

func (p *progress) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.draw(false)
}

// end closes the line of the phase. Without a phase it does nothing.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w == nil || p.phase == "" {
		return
	}
	took := p.now().Sub(p.began).Round(time.Millisecond)
	if p.terminal {
		p.draw(true)
		fmt.Fprintf(p.w, " %s\n", took)
	} else {
		fmt.Fprintf(p.w, "%s: %d of %d in %s\n", p.phase, p.done, p.total, took)
	}
	p.phase = ""
}

// draw repaints the bar, not more often than ten times a second unless forced.
func (p *progress) draw(force bool) {
	if p.w == nil || !p.terminal {
		return
	}
	if now := p.now(); force || now.Sub(p.last) >= redrawGap {
		p.last = now
		filled := barWidth * p.done / max(p.total, 1)
		fmt.Fprintf(p.w, "\r%-28s [%s%s] %d/%d", p.phase, strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), p.done, p.total)
	}
}

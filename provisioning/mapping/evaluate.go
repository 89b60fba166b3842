package mapping

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"meibo/scim"
)

// errNoNumber is the error of a division by zero and the like.
var errNoNumber = errors.New("the result is no number")

// program is a compiled expression.
type program struct {
	code *vm.Program
	// ignoreEmpty is IgnoreFlowIfNullOrEmpty around the whole: an empty value leaves the target as it is.
	ignoreEmpty bool
	guesses     bool         // it calls Kana or Romanize
	reads       []*scim.Path // each once
}

// evaluator hands out evaluations, whose machines and stacks are used again.
type evaluator struct {
	options Options
	pool    sync.Pool
}

func newEvaluator(o Options) *evaluator {
	if o.Reader == nil {
		o.Reader = kagomeReading
	}
	e := &evaluator{options: o}
	e.pool.New = func() any { return &evaluation{options: &e.options} }
	return e
}

func (e *evaluator) get(in Input) *evaluation {
	ev := e.pool.Get().(*evaluation)
	ev.asserted, ev.now, ev.total = in.Asserted, in.Now, maxTotal
	return ev
}

// put takes an evaluation back, without what it evaluated.
func (e *evaluator) put(ev *evaluation) {
	ev.asserted = nil
	clear(ev.machine.Stack[:cap(ev.machine.Stack)])
	clear(ev.machine.Variables)
	e.pool.Put(ev)
}

// evaluation is the environment that expressions run in, for one resource.
type evaluation struct {
	budget   // of the program at hand
	options  *Options
	machine  vm.VM
	asserted scim.Attributes
	now      time.Time
	total    int  // what the programs to come may spend
	guessed  bool // it asked for a reading or a romanisation
}

// run evaluates a program. The error says what is wrong and where, and holds no values.
func (e *evaluation) run(p *program) (any, error) {
	granted := min(maxWork, e.total)
	e.work, e.guessed = granted, false
	out, err := e.machine.Run(p.code, e)
	e.total -= granted - e.work
	if err != nil {
		return nil, positioned(err)
	}
	if f, ok := out.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, errNoNumber
	}
	return out, nil
}

// positioned is an error of the machine or of the parser without the source's text.
func positioned(err error) error {
	fault, ok := errors.AsType[*file.Error](err)
	switch {
	case !ok:
		return err
	case fault.Prev != nil:
		return fmt.Errorf("line %d, column %d: %w", fault.Line, fault.Column+1, fault.Prev)
	default:
		return fmt.Errorf("line %d, column %d: %s", fault.Line, fault.Column+1, fault.Message)
	}
}

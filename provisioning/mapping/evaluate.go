package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"meibo/scim"
)

// maxWork is how many bytes one evaluation may read and write in all: the texts that it reads from
// attributes, those that its functions are given and those that they make. Each element of a list and
// each name of an object counts perElement more. As there are no loops, nothing else grows.
const (
	maxWork    = 256 << 10
	perElement = 16
)

// errTooMuch ends an evaluation that reached maxWork.
var errTooMuch = fmt.Errorf("the expression reads and writes more than %d KiB", maxWork>>10)

// program is a compiled expression.
type program struct {
	code *vm.Program
	// ignoreEmpty is IgnoreFlowIfNullOrEmpty around the whole: an empty value leaves the target as it is.
	ignoreEmpty bool
	guesses     bool // it calls Kana or Romanize
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
	ev.asserted, ev.now = in.Asserted, in.Now
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
	options  *Options
	machine  vm.VM
	asserted scim.Attributes
	now      time.Time
	work     int  // what the program at hand may still spend
	guessed  bool // it asked for a reading or a romanisation
}

// run evaluates a program. The error says what is wrong and where, and holds no values.
func (e *evaluation) run(p *program) (any, error) {
	e.work, e.guessed = maxWork, false
	out, err := e.machine.Run(p.code, e)
	if err != nil {
		return nil, positioned(err)
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

// spend takes n bytes from what the evaluation may still read and write.
func (e *evaluation) spend(n int) error {
	if n < 0 || n > e.work {
		e.work = 0
		return errTooMuch
	}
	e.work -= n
	return nil
}

// charge spends the size of a value. It stops where there is nothing left, however large the value.
func (e *evaluation) charge(v any) error {
	switch v := v.(type) {
	case string:
		return e.spend(len(v))
	case json.Number:
		return e.spend(len(v))
	case []any:
		for _, element := range v {
			if err := e.chargeElement(element, 0); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, element := range v {
			if err := e.chargeElement(element, len(key)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *evaluation) chargeElement(v any, name int) error {
	if err := e.spend(perElement + name); err != nil {
		return err
	}
	return e.charge(v)
}

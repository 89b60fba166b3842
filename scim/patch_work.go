package scim

// maxWork bounds what the operations of one request walk: each operation on a list walks it, so
// that many operations on a long list would cost their product. It is counted as weigh does, and
// takes some tenths of a second.
const maxWork = 3_000_000

// spend counts work before it is done.
func (p *patcher) spend(work int) error {
	if p.work += work; p.work > maxWork {
		return &Error{Type: InvalidValue, Detail: "the operations walk long lists too often; send fewer of them at once"}
	}
	return nil
}

// weigh is the work of one walk over a value: one for each value in it, and more for long text.
func weigh(v any) int {
	switch v := v.(type) {
	case string:
		return 1 + len(v)/textPerWork
	case []any:
		work := 1
		for _, element := range v {
			work += weigh(element)
		}
		return work
	case map[string]any:
		work := 1
		for name, element := range v {
			work += len(name)/textPerWork + weigh(element)
		}
		return work
	default:
		return 1
	}
}

// weighNames is the work of a walk over the names of an object, its values left alone.
func weighNames(object map[string]any) int {
	work := 1
	for name := range object {
		work += len(name) / textPerWork
	}
	return work + len(object)
}

// textPerWork is how many bytes of text are folded in the time of one step.
const textPerWork = 64

// weighMembers is the work of holding members against a filter.
func weighMembers(list []Member) int {
	work := 0
	for _, m := range list {
		work += 1 + (len(m.Value)+len(m.Display))/textPerWork
	}
	return work
}

// termsOf counts the expressions of a filter: what is evaluated for each element.
func termsOf(f Filter) int {
	switch f := f.(type) {
	case *Logical:
		terms := 0
		for _, term := range f.Terms {
			terms += termsOf(term)
		}
		return terms
	case *Not:
		return termsOf(f.Term)
	case nil:
		return 0
	default:
		return 1
	}
}

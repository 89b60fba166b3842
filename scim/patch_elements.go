package scim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// operateElements is an operation on those elements of a multi-valued attribute that a value path
// selects, or on a sub-attribute of all of them.
func (p *patcher) operateElements(op Operation, path Path, old any) (any, error) {
	list, _ := old.([]any)
	if err := p.spend(weigh(list) * (1 + termsOf(path.Filter))); err != nil {
		return nil, err
	}
	edit := elementEdit{p: p, op: op, path: path, cost: weigh(op.Value), out: make([]any, 0, len(list)+1)}
	for _, element := range list {
		if !edit.selects(element) {
			edit.out = append(edit.out, element)
			continue
		}
		edit.matched++
		if err := edit.write(element); err != nil {
			return nil, err
		}
	}
	if edit.matched == 0 && op.Op != opRemove {
		if err := edit.create(); err != nil {
			return nil, err
		}
	}
	if len(edit.out) == 0 {
		return nil, nil
	}
	return onePrimary(edit.out, edit.written), nil
}

// elementEdit is one operation on the elements of one attribute.
type elementEdit struct {
	p       *patcher
	op      Operation
	path    Path
	cost    int // of reading the operation's value once
	terms   map[string]any
	out     []any
	written []int // the elements of out that the operation wrote
	matched int
}

func (e *elementEdit) selects(element any) bool {
	if e.path.Filter == nil {
		return true
	}
	object, ok := element.(map[string]any)
	return ok && match(e.path.Filter, object)
}

// write applies the operation to one selected element. A replaced one becomes what the first one
// became, and is not kept twice.
func (e *elementEdit) write(element any) error {
	if len(e.written) > 0 && e.op.Op == opReplace && e.path.Sub == nil {
		return nil
	}
	if err := e.p.spend(e.cost); err != nil {
		return err
	}
	object, _ := element.(map[string]any)
	v, err := e.next(object)
	if err != nil {
		return err
	}
	if v != nil {
		e.keep(v)
	}
	return nil
}

// next is what becomes of a selected element; nil drops it.
func (e *elementEdit) next(object map[string]any) (any, error) {
	a := e.path.Attr
	switch {
	case e.path.Sub != nil:
		return e.nextSub(object)
	case e.op.Op == opRemove:
		return nil, nil
	case IsUnassigned(e.op.Value):
		if e.op.Op == opAdd {
			return object, nil
		}
		return nil, nil
	}
	value, ok := e.op.Value.(map[string]any)
	if !ok {
		return nil, a.wrongType("an object", e.op.Value)
	}
	if e.op.Op == opAdd {
		merged, err := e.p.merge(e.op, a, object, value)
		if err != nil {
			return nil, err
		}
		return merged, checkElement(a, object, merged)
	}
	replaced, err := a.coerceOne(value)
	if err != nil || replaced == nil || !e.p.o.CreateElements {
		return replaced, err
	}
	return e.withTerms(replaced), nil
}

func (e *elementEdit) nextSub(object map[string]any) (any, error) {
	v, err := e.p.operateSub(e.op, e.path.Sub, object)
	if err != nil || v == nil {
		return nil, err
	}
	if err := checkElement(e.path.Attr, object, v); err != nil {
		return nil, err
	}
	if e.p.o.PruneElements && e.path.Filter != nil && isBare(v) {
		return nil, nil
	}
	return v, nil
}

// checkElement guards the immutable sub-attributes of an element that stays itself.
func checkElement(a *Attribute, old map[string]any, next any) error {
	after, _ := next.(map[string]any)
	for _, sub := range a.SubAttributes {
		if err := checkUnchanged(sub, old[sub.Name], after[sub.Name]); err != nil {
			return err
		}
	}
	return nil
}

// isBare reports whether an element says no more than what kind of value it would hold.
func isBare(element any) bool {
	object, _ := element.(map[string]any)
	for key := range object {
		if key != "type" && key != "primary" {
			return false
		}
	}
	return true
}

func (e *elementEdit) keep(v any) {
	e.written = append(e.written, len(e.out))
	e.out = append(e.out, v)
}

// create adds the element that the filter did not find, with what the filter asks to be equal.
func (e *elementEdit) create() error {
	if !e.p.o.CreateElements {
		return e.noTarget()
	}
	if IsUnassigned(e.op.Value) {
		return nil // nothing to unassign
	}
	created, err := e.created()
	if err != nil {
		return err
	}
	object, _ := created.(map[string]any)
	if created == nil || e.path.Filter != nil && !match(e.path.Filter, object) {
		return e.noTarget()
	}
	if e.becomesPrimary(object) {
		object["primary"] = true
	}
	e.keep(object)
	return nil
}

func (e *elementEdit) created() (any, error) {
	element := e.fixed()
	if e.path.Sub != nil {
		return e.p.operateSub(e.op, e.path.Sub, element)
	}
	value, ok := e.op.Value.(map[string]any)
	if !ok {
		return nil, e.path.Attr.wrongType("an object", e.op.Value)
	}
	return e.p.merge(e.op, e.path.Attr, element, value)
}

func (e *elementEdit) becomesPrimary(object map[string]any) bool {
	_, given := object["primary"]
	return e.p.o.PrimaryWhenOnly && !given && len(e.out) == 0 && e.path.URN == "" && e.path.Attr.Name == "emails"
}

func (e *elementEdit) noTarget() *Error {
	return &Error{Type: NoTarget, Path: e.path.Attr.String(), Detail: "no element of the attribute fits the path; add the element first"}
}

// withTerms adds to an element what the filter asks to be equal, where the element has no value.
func (e *elementEdit) withTerms(element any) any {
	object, _ := element.(map[string]any)
	out := maps.Clone(e.fixed())
	maps.Copy(out, object)
	return out
}

// fixed is what the filter asks to be equal, read once for all elements.
func (e *elementEdit) fixed() map[string]any {
	if e.terms == nil {
		e.terms = map[string]any{}
		e.addTerms(e.terms, e.path.Filter)
	}
	return e.terms
}

// addTerms sets the sub-attributes that a filter fixes: its comparisons with eq, joined by and.
func (e *elementEdit) addTerms(element map[string]any, f Filter) {
	switch f := f.(type) {
	case *Logical:
		if f.Or {
			return
		}
		for _, term := range f.Terms {
			e.addTerms(element, term)
		}
	case *Compare:
		a := f.Path.Attr
		if f.Op == Eq && f.Path.Sub == nil && !a.MultiValued && a.Mutability != ReadOnly {
			element[a.Name] = e.term(a, f.Value)
		}
	}
}

// term is the value that a comparison asks for, as the client spelled it: the parsed filter holds
// text folded.
func (e *elementEdit) term(a *Attribute, v Value) any {
	switch v.Kind {
	case Boolean:
		return v.Bool
	case Integer, Decimal:
		return jsonNumber(v.Number)
	default:
		return spelling(e.op.Path, a.Folding, v.Text)
	}
}

// jsonNumber prints a number of a filter as JSON has it.
func jsonNumber(f float64) json.Number {
	text, err := json.Marshal(f)
	if err != nil { // not finite, which no filter holds
		return "0"
	}
	return json.Number(text)
}

// spelling finds the literal in the text of a path that folds to the given text.
func spelling(path string, f Folding, folded string) string {
	r := jsonReader{text: path}
	for {
		start := strings.IndexByte(path[r.pos:], '"')
		if start < 0 {
			return folded
		}
		r.pos += start
		literal, err := r.str()
		if err != nil {
			return folded
		}
		if f.Apply(literal) == folded {
			return literal
		}
	}
}

// onePrimary makes the elements that were not written not primary if a written one is. written
// holds places in the list, ascending.
func onePrimary(list []any, written []int) []any {
	if !slices.ContainsFunc(written, func(i int) bool { return isPrimary(list[i]) }) {
		return list
	}
	for i, element := range list {
		if len(written) > 0 && written[0] == i {
			written = written[1:]
			continue
		}
		if isPrimary(element) {
			object := maps.Clone(element.(map[string]any))
			object["primary"] = false
			list[i] = object
		}
	}
	return list
}

// appendElements adds the elements that a list does not hold yet.
func (p *patcher) appendElements(list, more []any) (any, error) {
	if err := p.spend(weigh(list) + weigh(more)); err != nil {
		return nil, err
	}
	out := slices.Clip(list)
	isNew := absentFrom(list, more)
	var written []int
	for _, element := range more {
		if isNew(element) {
			written = append(written, len(out))
			out = append(out, element)
		}
	}
	switch {
	case len(out) == 0:
		return nil, nil
	case len(written) == 0:
		return list, nil
	default:
		return onePrimary(out, written), nil
	}
}

// absentFrom returns a function that is true once for each of the elements in more that list does
// not hold. Many elements are looked up by their JSON text, which costs no quadratic time.
func absentFrom(list, more []any) func(any) bool {
	if len(more) == 1 {
		return func(element any) bool {
			return !slices.ContainsFunc(list, func(other any) bool { return Equal(element, other) })
		}
	}
	present := make(map[string]bool, len(list)+len(more))
	isNew := func(element any) bool {
		text := string(appendValue(nil, nil, element))
		was := present[text]
		present[text] = true
		return !was
	}
	for _, element := range list {
		isNew(element)
	}
	return isNew
}

// removeElements takes the elements out of a list that the value of a remove names: by "value",
// and by "type" where both have one, as those two tell elements apart (RFC 7643 §2.4). An object
// without "value" names the elements that have all of its sub-attributes.
func (p *patcher) removeElements(a *Attribute, list []any, value any) (any, error) {
	named, ok := value.([]any)
	if !ok {
		named = []any{value}
	}
	index := elementIndex{attr: a, kinds: make(map[string]map[string]bool, len(named))}
	for i, v := range named {
		v, err := a.coerceNamed(v)
		if err != nil {
			return nil, inElement(err, i)
		}
		index.put(v)
	}
	if err := p.spend(weigh(list) * (1 + index.looseWork)); err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(slices.Clone(list), index.names)
	switch {
	case len(out) == 0:
		return nil, nil
	case len(out) == len(list):
		return list, nil
	default:
		return out, nil
	}
}

// elementIndex holds the elements that a remove names by their folded value, so that many names
// and a long list do not cost their product.
type elementIndex struct {
	attr      *Attribute
	kinds     map[string]map[string]bool // folded value to folded types; "" is any type
	loose     []map[string]any           // the elements without value
	looseWork int
}

func (x *elementIndex) put(v any) {
	object, isObject := v.(map[string]any)
	switch {
	case v == nil:
	case isObject && object["value"] == nil:
		x.loose = append(x.loose, object)
		x.looseWork += weigh(object) - 1
	default:
		key := x.key(v)
		if x.kinds[key] == nil {
			x.kinds[key] = make(map[string]bool, 1)
		}
		x.kinds[key][kindOfElement(object)] = true
	}
}

// key is the folded value of an element.
func (x *elementIndex) key(element any) string {
	a, v := x.attr, element
	if object, ok := element.(map[string]any); ok {
		v = object["value"]
		if sub := a.Sub("value"); sub != nil {
			a = sub
		}
	}
	if s, ok := v.(string); ok {
		return a.Folding.Apply(s)
	}
	return string(appendValue(nil, nil, v))
}

// kindOfElement is the folded type of an element, "" if it has none.
func kindOfElement(object map[string]any) string {
	kind, _ := object["type"].(string)
	return lowerASCII(kind)
}

// names reports whether an element of the list is among the named ones.
func (x *elementIndex) names(element any) bool {
	object, _ := element.(map[string]any)
	if kinds := x.kinds[x.key(element)]; len(kinds) > 0 {
		if kind := kindOfElement(object); kind == "" || kinds[""] || kinds[kind] {
			return true
		}
	}
	return object != nil && slices.ContainsFunc(x.loose, func(want map[string]any) bool { return x.attr.sharesAll(want, object) })
}

func (a *Attribute) sharesAll(want, object map[string]any) bool {
	for key, v := range want {
		if !sameText(a.Sub(key), v, object[key]) {
			return false
		}
	}
	return true
}

// sameText is Equal, but for strings under the attribute's own comparison.
func sameText(a *Attribute, x, y any) bool {
	s, ok := x.(string)
	t, isText := y.(string)
	if a != nil && ok && isText {
		return a.Folding.Apply(s) == a.Folding.Apply(t)
	}
	return Equal(x, y)
}

// coerceNamed reads one value of a remove; a complex element may be named by its bare value.
func (a *Attribute) coerceNamed(v any) (any, error) {
	if s, ok := v.(string); ok && s != "" && a.Type == Complex && a.Sub("value") != nil {
		v = map[string]any{"value": s}
	}
	return a.coerceOne(v)
}

package mapping

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	exprcompiler "github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"meibo/scim"
)

// The bounds of an expression before it runs. The parser takes time in proportion to more than the
// length of its input, so that the length is looked at first.
const (
	maxSource = 10_000 // characters, as in Entra
	maxNodes  = 1000   // names, constants, operators and calls
)

// expression compiles the source of a row's expression; nil if there is a problem.
func (c *compiler) expression(source string) *program {
	const remedy = "see docs/mapping.md for what an expression may have"
	if utf8.RuneCountInString(source) > maxSource {
		c.problem("expression", "split it into rows or shorten it", "it is longer than %d characters", maxSource)
		return nil
	}
	config := languageConfig()
	tree, err := parser.ParseWithConfig(source, config)
	if err != nil {
		c.problem("expression", remedy, "%v", positioned(err))
		return nil
	}
	r := rewriter{def: c.def, options: c.options}
	out := &program{ignoreEmpty: unwrapIgnoreFlow(&tree.Node)}
	tree.Node = r.node(tree.Node)
	if len(r.faults) > 0 {
		for _, fault := range r.faults {
			c.problem("expression", remedy, "%v", positioned(fault.Bind(tree.Source)))
		}
		return nil
	}
	if _, err = checker.Check(tree, config); err == nil {
		out.code, err = exprcompiler.Compile(tree, config)
	}
	if err != nil {
		c.problem("expression", remedy, "%v", positioned(err))
		return nil
	}
	out.guesses, out.reads = r.guesses, r.reads
	return out
}

// languageConfig is the language without anything built in: the functions of this package alone.
func languageConfig() *conf.Config {
	config := conf.New(map[string]any{})
	config.MaxNodes = maxNodes
	config.Optimize = false
	config.Builtins = map[string]*builtin.Function{}
	for _, b := range builtin.Builtins {
		config.Disabled[b.Name] = true
	}
	config.Functions = callable()
	return config
}

// callable are the functions and operators as the machine calls them. The library only reads the table.
var callable = sync.OnceValue(func() conf.FunctionsTable {
	table := conf.FunctionsTable{}
	for name, f := range functions {
		table[name] = &builtin.Function{Name: name, Func: f.call(name)}
	}
	for name, f := range operators {
		table[name] = &builtin.Function{Name: name, Func: f.call("")}
	}
	return table
})

// unwrapIgnoreFlow takes IgnoreFlowIfNullOrEmpty away from around the whole expression.
func unwrapIgnoreFlow(n *ast.Node) bool {
	call, ok := (*n).(*ast.CallNode)
	if !ok || calledName(call) != "IgnoreFlowIfNullOrEmpty" || len(call.Arguments) != 1 {
		return false
	}
	*n = call.Arguments[0]
	return true
}

func calledName(call *ast.CallNode) string {
	if callee, ok := call.Callee.(*ast.IdentifierNode); ok {
		return callee.Value
	}
	return ""
}

// rewriter turns the tree of an expression into one that can be run within bounds: names become reads
// of attributes, calls and operators that make texts or lists become calls of functions that count.
// What it does not know it refuses, so that nothing runs by oversight.
type rewriter struct {
	def       *scim.Definition
	options   Options
	variables []string // declared by let, around the node at hand
	guesses   bool
	reads     []*scim.Path
	faults    []*file.Error
}

func (r *rewriter) refuse(n ast.Node, format string, args ...any) ast.Node {
	r.faults = append(r.faults, &file.Error{Location: n.Location(), Message: fmt.Sprintf(format, args...)})
	return at(n, &ast.NilNode{})
}

// at gives a new node the place of an old one, for errors.
func at(old, replacement ast.Node) ast.Node {
	replacement.SetLocation(old.Location())
	return replacement
}

func (r *rewriter) node(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
		return n
	case *ast.IdentifierNode:
		return r.identifier(n)
	case *ast.MemberNode:
		return r.member(n)
	case *ast.ChainNode:
		return r.node(n.Node)
	case *ast.UnaryNode:
		return r.unary(n)
	case *ast.BinaryNode:
		return r.binary(n)
	case *ast.ConditionalNode:
		return at(n, &ast.ConditionalNode{Cond: r.condition(n.Cond), Exp1: r.node(n.Exp1), Exp2: r.node(n.Exp2)})
	case *ast.ArrayNode:
		return r.call(n, opList, r.nodes(n.Nodes)...)
	case *ast.MapNode:
		return r.object(n)
	case *ast.VariableDeclaratorNode:
		return r.variable(n)
	case *ast.CallNode:
		return r.function(n)
	case *ast.BuiltinNode:
		return r.unknownFunction(n, n.Name)
	default:
		return r.refuse(n, "%s is not part of the language of mappings", syntaxName(n))
	}
}

// syntaxName names the kind of a node for people.
func syntaxName(n ast.Node) string {
	switch n.(type) {
	case *ast.SliceNode:
		return "a range in brackets (use Left or Mid)"
	case *ast.SequenceNode:
		return "more than one expression"
	case *ast.BytesNode:
		return "a value of bytes"
	default:
		return "this"
	}
}

func (r *rewriter) nodes(list []ast.Node) []ast.Node {
	out := make([]ast.Node, len(list))
	for i, n := range list {
		out[i] = r.node(n)
	}
	return out
}

// call makes a call of one of our functions, which take the evaluation first.
func (r *rewriter) call(n ast.Node, name string, args ...ast.Node) ast.Node {
	environment := at(n, &ast.IdentifierNode{Value: "$env"})
	callee := at(n, &ast.IdentifierNode{Value: name})
	return at(n, &ast.CallNode{Callee: callee, Arguments: append([]ast.Node{environment}, args...)})
}

// names are the words that stand for themselves.
var names = map[string]string{"vbTextCompare": "vbTextCompare", "vbBinaryCompare": "vbBinaryCompare"}

func (r *rewriter) identifier(n *ast.IdentifierNode) ast.Node {
	if slices.Contains(r.variables, n.Value) {
		return n
	}
	if word, ok := names[n.Value]; ok {
		return at(n, &ast.StringNode{Value: word})
	}
	return r.read(n, n.Value)
}

// read makes a read of the attribute under a path.
func (r *rewriter) read(n ast.Node, text string) ast.Node {
	path, detail := readable(r.def, text)
	if detail != "" {
		return r.refuse(n, "%s", detail)
	}
	if !slices.ContainsFunc(r.reads, func(p *scim.Path) bool { return p.String() == path.String() }) {
		r.reads = append(r.reads, &path)
	}
	return r.call(n, opRead, at(n, &ast.ConstantNode{Value: &path}))
}

// member is attribute.sub where that is a path, and else an element or a name of a value.
func (r *rewriter) member(n *ast.MemberNode) ast.Node {
	if path, ok := r.dotted(n); ok {
		return r.read(head(n), path)
	}
	return r.call(n, opMember, r.node(n.Node), r.node(n.Property))
}

// dotted returns the path that a chain of names is, if it begins with none of the variables.
func (r *rewriter) dotted(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value, !slices.Contains(r.variables, n.Value)
	case *ast.ChainNode:
		return r.dotted(n.Node)
	case *ast.MemberNode:
		name, isName := n.Property.(*ast.StringNode)
		outer, ok := r.dotted(n.Node)
		if isName && ok {
			return outer + "." + name.Value, true
		}
	}
	return "", false
}

// head is the first name of a chain of them.
func head(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.MemberNode:
		return head(n.Node)
	case *ast.ChainNode:
		return head(n.Node)
	default:
		return n
	}
}

func (r *rewriter) unary(n *ast.UnaryNode) ast.Node {
	if n.Operator == "-" || n.Operator == "+" {
		return at(n, &ast.UnaryNode{Operator: n.Operator, Node: r.node(n.Node)})
	}
	return at(n, &ast.UnaryNode{Operator: n.Operator, Node: r.condition(n.Node)})
}

// condition makes true or false of a value, as CBool does; nil is false.
func (r *rewriter) condition(n ast.Node) ast.Node {
	return r.call(n, opTruth, r.node(n))
}

// counted are the operators that functions stand in for.
var counted = map[string]string{"+": opAdd, "contains": opContains, "startsWith": opStartsWith, "endsWith": opEndsWith, "in": opIn}

func (r *rewriter) binary(n *ast.BinaryNode) ast.Node {
	if name, ok := counted[n.Operator]; ok {
		return r.call(n, name, r.node(n.Left), r.node(n.Right))
	}
	switch n.Operator {
	case "and", "&&", "or", "||":
		return at(n, &ast.BinaryNode{Operator: n.Operator, Left: r.condition(n.Left), Right: r.condition(n.Right)})
	case "==", "!=", "<", "<=", ">", ">=", "??", "-", "*", "/", "%":
		return at(n, &ast.BinaryNode{Operator: n.Operator, Left: r.node(n.Left), Right: r.node(n.Right)})
	case "matches":
		return r.refuse(n, "matches is not part of the language of mappings; use Replace with a regular expression")
	default:
		return r.refuse(n, "the operator %s is not part of the language of mappings", n.Operator)
	}
}

// object is { name: value, … }.
func (r *rewriter) object(n *ast.MapNode) ast.Node {
	args := make([]ast.Node, 0, 2*len(n.Pairs))
	for _, p := range n.Pairs {
		pair, ok := p.(*ast.PairNode)
		if !ok {
			return r.refuse(n, "an object needs a name and a value for each of its parts")
		}
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return r.refuse(pair, "the name of an object's part must be a constant")
		}
		args = append(args, key, r.node(pair.Value))
	}
	return r.call(n, opObject, args...)
}

func (r *rewriter) variable(n *ast.VariableDeclaratorNode) ast.Node {
	value := r.node(n.Value)
	r.variables = append(r.variables, n.Name)
	body := r.node(n.Expr)
	r.variables = r.variables[:len(r.variables)-1]
	return at(n, &ast.VariableDeclaratorNode{Name: n.Name, Value: value, Expr: body})
}

func (r *rewriter) function(n *ast.CallNode) ast.Node {
	name := calledName(n)
	if name == "" {
		return r.refuse(n, "only functions can be called, and they have no dot")
	}
	if why, ok := refused[name]; ok {
		return r.refuse(n, "%s is not available: %s", name, why)
	}
	f, ok := functions[name]
	if !ok {
		return r.unknownFunction(n, name)
	}
	if detail := f.arity(len(n.Arguments)); detail != "" {
		return r.refuse(n, "%s %s: %s", name, detail, f.usage)
	}
	switch name {
	case "IIF":
		return at(n, &ast.ConditionalNode{Cond: r.condition(n.Arguments[0]), Exp1: r.node(n.Arguments[1]), Exp2: r.node(n.Arguments[2])})
	case "Coalesce":
		return r.coalesce(n, n.Arguments)
	case "attr":
		return r.attr(n)
	case "DefaultDomain":
		if r.options.DefaultDomain == "" {
			return r.refuse(n, "DefaultDomain is not available: no default domain is set")
		}
	case "Kana", "Romanize":
		r.guesses = true
	}
	args := r.nodes(n.Arguments)
	if name == "Replace" {
		args = r.replaceArguments(n, args)
	}
	return r.call(n, name, args...)
}

// coalesce evaluates no more than it needs, so that a reading is proposed only where none is given.
func (r *rewriter) coalesce(n ast.Node, args []ast.Node) ast.Node {
	out := r.node(args[len(args)-1])
	for _, arg := range slices.Backward(args[:len(args)-1]) {
		out = at(n, &ast.BinaryNode{Operator: "??", Left: r.node(arg), Right: out})
	}
	return out
}

func (r *rewriter) attr(n *ast.CallNode) ast.Node {
	path, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return r.refuse(n, `attr needs a constant text: attr("emails[type eq \"work\"].value")`)
	}
	return r.read(n, path.Value)
}

// replaceArguments compiles the regular expression of Replace and checks which of its seven arguments are given.
func (r *rewriter) replaceArguments(n *ast.CallNode, args []ast.Node) []ast.Node {
	given := func(i int) bool {
		if i >= len(n.Arguments) {
			return false
		}
		_, isNil := n.Arguments[i].(*ast.NilNode)
		return !isNil
	}
	old, regex, group, value, attribute, template := given(1), given(2), given(3), given(4), given(5), given(6)
	switch {
	case old && !regex && !group && !attribute && value != template:
	case regex && !old && !template && value && !attribute:
	case regex && !old && !template && group && attribute && !value:
	default:
		r.refuse(n, "Replace does not do this combination of arguments: %s", functions["Replace"].usage)
	}
	if !regex {
		return args
	}
	source, ok := n.Arguments[2].(*ast.StringNode)
	if !ok {
		r.refuse(n.Arguments[2], "the regular expression must be a constant text")
		return args
	}
	p, err := compilePattern(source.Value)
	if err != nil {
		r.refuse(source, "%v", err)
		return args
	}
	args[2] = at(source, &ast.ConstantNode{Value: p})
	r.checkGroup(n, p)
	return args
}

// checkGroup refuses a group that the regular expression lacks.
func (r *rewriter) checkGroup(n *ast.CallNode, p *pattern) {
	if len(n.Arguments) <= 3 {
		return
	}
	if name, ok := n.Arguments[3].(*ast.StringNode); ok && p.re.SubexpIndex(name.Value) < 0 {
		r.refuse(name, "the regular expression has no group named %q", name.Value)
	}
}

func (r *rewriter) unknownFunction(n ast.Node, name string) ast.Node {
	for known := range functions {
		if strings.EqualFold(known, name) {
			return r.refuse(n, "there is no function %s; names have their case: write %s", name, known)
		}
	}
	if instead, ok := familiar[name]; ok {
		return r.refuse(n, "there is no function %s; use %s", name, instead)
	}
	return r.refuse(n, "there is no function %s", name)
}

// familiar are functions of the expression library, and what does the same here.
var familiar = map[string]string{
	"upper": "ToUpper", "lower": "ToLower", "trim": "Replace with a regular expression", "get": "a name in brackets",
	"string": "CStr", "toJSON": "CStr", "uniq": "RemoveDuplicates", "concat": "Join or +", "indexOf": "InStr", "first": "Item",
	"map": "attr with a path through all elements", "filter": "attr with a filter in brackets", "date": "CDate",
}

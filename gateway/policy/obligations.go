package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

var obligationKinds = []string{"view", "domain", "step_up", "notify", "cost"}

// checkObligation looks at an obligation of which some may not be known yet
// (variables): kind and constant parts must be right.
func checkObligation(v ast.Value) error {
	switch v := v.(type) {
	case ast.Var, ast.Ref, ast.Call:
		return nil
	case ast.Object:
		kind, arg, err := obligationKind(v)
		if err != nil || !arg.IsGround() {
			return err
		}
		return new(Obligations).add(kind, arg.Value, nil)
	}
	return errors.New(`an obligation is an object such as {"view": "research"}`)
}

func obligationKind(o ast.Object) (string, *ast.Term, error) {
	keys := o.Keys()
	if len(keys) != 1 {
		return "", nil, errors.New(`an obligation has one key: write {"view": …} and {"notify": …} as two rules`)
	}
	kind, ok := keys[0].Value.(ast.String)
	if !ok || !slices.Contains(obligationKinds, string(kind)) {
		return "", nil, fmt.Errorf("unknown obligation %s: there are %s", keys[0], strings.Join(obligationKinds, ", "))
	}
	return string(kind), o.Get(keys[0]), nil
}

// obligations reads the set that a policy obliges. An unknown or ill-shaped
// one, and two that cannot both be met, are errors, which deny. acr are the levels
// of assurance, weakest first.
func obligations(values []ast.Value, acr []string) (Obligations, error) {
	var all Obligations
	for _, v := range values {
		o, ok := v.(ast.Object)
		if !ok {
			return Obligations{}, errors.New("an obligation is not an object")
		}
		kind, arg, err := obligationKind(o)
		if err != nil {
			return Obligations{}, err
		}
		if err := all.add(kind, arg.Value, acr); err != nil {
			return Obligations{}, err
		}
	}
	slices.Sort(all.Views)
	slices.Sort(all.Notify)
	return all, nil
}

func (o *Obligations) add(kind string, arg ast.Value, acr []string) error {
	if kind == "step_up" {
		return o.addStepUp(arg, acr)
	}
	if kind == "cost" {
		n, ok := positive(arg)
		if !ok {
			return errors.New(`obligation cost is a whole number above 0: {"cost": 5}`)
		}
		o.Cost = max(o.Cost, n)
		return nil
	}
	name, ok := arg.(ast.String)
	if !ok || name == "" {
		return fmt.Errorf("obligation %s is a name: {%q: \"…\"}", kind, kind)
	}
	switch kind {
	case "view":
		o.Views = append(o.Views, string(name))
	case "notify":
		o.Notify = append(o.Notify, string(name))
	case "domain":
		if o.Domain != "" && o.Domain != string(name) {
			return errors.New("two domains are obliged")
		}
		o.Domain = string(name)
	}
	return nil
}

// addStepUp joins two demands into the one that meets both. Two different acr are
// met by the stronger, where it is said which that is.
func (o *Obligations) addStepUp(arg ast.Value, acr []string) error {
	wrong := errors.New(`obligation step_up is {"acr": "…", "max_age": seconds}, one of them at least`)
	object, ok := arg.(ast.Object)
	if !ok || object.Len() == 0 {
		return wrong
	}
	s := StepUp{}
	for _, key := range object.Keys() {
		value := object.Get(key).Value
		switch {
		case key.Value.Compare(ast.String("acr")) == 0:
			name, ok := value.(ast.String)
			if !ok || name == "" {
				return wrong
			}
			s.ACR = string(name)
		case key.Value.Compare(ast.String("max_age")) == 0:
			if s.MaxAge, ok = positive(value); !ok {
				return wrong
			}
		default:
			return wrong
		}
	}
	if o.StepUp == nil {
		o.StepUp = &s
		return nil
	}
	switch a, b := slices.Index(acr, o.StepUp.ACR), slices.Index(acr, s.ACR); {
	case s.ACR == "" || s.ACR == o.StepUp.ACR:
	case o.StepUp.ACR == "":
		o.StepUp.ACR = s.ACR
	case a < 0 || b < 0:
		return errors.New("two different acr are obliged, and acr_order does not say which is stronger")
	case b > a:
		o.StepUp.ACR = s.ACR
	}
	if o.StepUp.MaxAge == 0 || s.MaxAge > 0 && s.MaxAge < o.StepUp.MaxAge {
		o.StepUp.MaxAge = s.MaxAge
	}
	return nil
}

func positive(v ast.Value) (int, bool) {
	number, ok := v.(ast.Number)
	if !ok {
		return 0, false
	}
	n, ok := number.Int()
	return n, ok && n > 0
}

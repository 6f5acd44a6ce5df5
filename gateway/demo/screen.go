package demo

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the screen: where everything is, and for each of the cast the
// lines to paste.
func (d *Demo) Print(out io.Writer) {
	fmt.Fprintf(out, `Gatehouse demo: synthetic patients, an identity provider and a FHIR server in
this process, the gateway in front. Stop it with Ctrl-C.

  FHIR through the gateway  %s
  admin                     http://%s  (/readyz /metrics)
  identity provider         %s
  FHIR server behind        %s  (open: what a careless upstream would show)
  configuration             %s
  role table                %s
  audit trail               %s
  log                       %s
`, d.base, d.admin, d.issuer, d.store, d.config, d.roles, d.audit, d.places.log)
	fmt.Fprintf(out, "\nPaste the lines of a person into a shell, the first line first; G stays for all.\n\n  G=%s\n", d.base)
	for _, a := range cast {
		fmt.Fprintf(out, "\n# %s\n", a.who)
		for _, text := range d.script(a) {
			fmt.Fprintln(out, text)
		}
	}
	d.printMore(out)
}

// script are the lines of one of the cast, as pasted.
func (d *Demo) script(a act) []string {
	lines := []string{fmt.Sprintf(`  A="Authorization: Bearer $(curl -s %s/token/%s)"`, d.issuer, a.name)}
	for _, l := range a.lines {
		lines = append(lines, "  # "+l.says, "  "+l.command())
	}
	return lines
}

func (l line) command() string {
	var b strings.Builder
	b.WriteString("curl -s")
	if l.find == "" {
		b.WriteString(" -i")
	}
	if !l.open {
		b.WriteString(` -H "$A"`)
	}
	b.WriteString(` "$G` + l.target + `"`)
	if l.body != "" {
		b.WriteString(" -H 'Content-Type: application/fhir+json' -d '" + l.body + "'")
	}
	if l.find != "" {
		return "P=$(" + b.String() + " | grep -o '" + l.find + "' | head -1); echo $P"
	}
	return b.String()
}

func (d *Demo) printMore(out io.Writer) {
	fmt.Fprintf(out, `
# Edit a role and see the difference: billing may now see observations of its ward
  sed -i.bak 's/types: \[administrative\]/types: [administrative, clinical]/' %[1]s
  curl -s -X POST http://%[2]s/-/reload
  # then the billing clerk's last line again: 200

# What happened: the trail is whole, and says who saw what of whom
  %[3]s audit verify -c %[4]s
  %[3]s audit export -c %[4]s | tail -1

# Metrics
  curl -s http://%[2]s/metrics | grep ^gatehouse
`, d.roles, d.admin, command(), d.config)
}

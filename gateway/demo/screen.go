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
  identity provider         %s  (POST /token; GET /token/NAME gives the token alone)
  FHIR server behind        %s  (open: what a careless upstream would show)
  configuration             %s
  role table                %s
  audit trail               %s
  log                       %s
`, d.base, d.admin, d.issuer, d.store, d.config, d.roles, d.audit, d.places.log)
	fmt.Fprint(out, "\nPaste the lines of a person into a shell; the first one signs in.\n")
	for _, a := range cast {
		fmt.Fprintf(out, "\n# %s\n", a.who)
		d.printScript(out, a.name, a.lines)
	}
	fmt.Fprint(out, "\n# A patient takes the consent back while a clinician pages (docs/consent.md)\n")
	for _, a := range revoking {
		d.printScript(out, a.name, a.lines)
	}
	fmt.Fprint(out, "\n# A clinician breaks the glass, and the privacy officer reviews it\n")
	for _, a := range breaking {
		d.printScript(out, a.name, a.lines)
	}
	fmt.Fprintf(out, `
# Edit a role and see the difference: billing may see clinical records of its ward
  sed -i.bak 's/types: \[administrative\]/types: [administrative, clinical]/' %s
  curl -s -X POST http://%s/-/reload
`, d.roles, d.admin)
	d.printScript(out, "billing", []line{edited})
	fmt.Fprintf(out, `
# The trail: nothing in it was changed, and who looked at a patient's record
  %[1]s audit verify -c %[2]s
  %[1]s audit report -c %[2]s --patient Patient/p012
  %[1]s audit export -c %[2]s | tail -1

# Metrics
  curl -s http://%[3]s/metrics | grep ^gatehouse_requests
`, command(), d.config, d.admin)
}

// printScript writes a person's lines.
func (d *Demo) printScript(out io.Writer, name string, lines []line) {
	fmt.Fprintf(out, "  %s\n", d.signIn(name))
	for _, l := range lines {
		fmt.Fprintf(out, "  # %s\n  %s\n", l.says, strings.ReplaceAll(l.command(), "$M", "http://"+d.admin+"/api/v1"))
	}
}

func (d *Demo) signIn(name string) string {
	return fmt.Sprintf(`G=%s; A="Authorization: Bearer $(curl -s %s/token/%s)"`, d.base, d.issuer, name)
}

func (l line) command() string {
	var b strings.Builder
	b.WriteString("curl -s")
	if l.keep == "" {
		b.WriteString("i")
	}
	if !l.open {
		b.WriteString(` -H "$A"`)
	}
	url := "$G" + l.target
	if strings.HasPrefix(l.target, "$") {
		url = l.target
	}
	if l.delete {
		b.WriteString(" -X DELETE")
	}
	b.WriteString(` "` + url + `"`)
	if l.post != "" {
		b.WriteString(" -H 'Content-Type: application/fhir+json' -d '" + l.post + "'")
	}
	if l.keep != "" {
		return l.keep + "=$(" + b.String() + " | grep -o '" + l.find + "' | head -1); echo $" + l.keep
	}
	return b.String() + "; echo"
}

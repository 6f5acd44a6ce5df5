package gateway

import (
	"regexp"
	"strings"

	"gatehouse/gateway/view"
)

// This file is what else than ids of resources is resolved: identifiers, written
// "Identifier/SYSTEM|VALUE" as the client sees them, and texts that a view
// encrypted, written with their place, "Device.lotNumber/TEXT".

var (
	encryptedPlace = regexp.MustCompile(`^[A-Z]\w{0,63}(\.\w{1,64}){1,8}$`)
	plainSystem    = regexp.MustCompile(`^[!-{}~]{0,400}$`) // no |, which ends it
)

// textPseudonym tells whether t/p is such a one by its form; whether it opens is
// told to the two people alone.
func textPseudonym(t, p string) bool {
	if system, value, ok := strings.Cut(p, "|"); t == "Identifier" {
		return ok && plainSystem.MatchString(system) && view.TextShape(value)
	}
	return encryptedPlace.MatchString(t) && view.SealedShape(p)
}

// resolveText gives what such a one leads to, "" where it leads nowhere.
func resolveText(c *view.Codec, domain, t, p string) string {
	if t != "Identifier" {
		text, err := c.Open(domain, t, p)
		if err != nil {
			return ""
		}
		return text
	}
	system, value, _ := strings.Cut(p, "|")
	system, value, ok := c.RealIdentifier(domain, system, value)
	if !ok {
		return ""
	}
	return system + "|" + value
}

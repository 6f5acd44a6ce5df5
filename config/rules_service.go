package config

import "strings"

// checkPseudonymService also refuses a target that would give two clients, or two
// types, one space of pseudonyms: by those they could join what they see.
func (l *loader) checkPseudonymService(s *PseudonymService) {
	if s == nil {
		return
	}
	const section = "pseudonyms.service"
	if u := l.checkEndpoint(section+".url", s.URL); u != nil && u.Scheme == "http" && !s.InsecureHTTP && !loopback(u.Hostname()) {
		l.report(section+".url", "is plain http to another machine; write https, or pseudonyms.service.insecure_http: true on a network that is protected otherwise")
	}
	switch basic := s.Username != "" || s.PasswordFile != ""; {
	case basic && (s.Username == "" || s.PasswordFile == ""):
		l.report(section+".username", "and password_file stand together; write both")
	case basic && s.TokenFile != "":
		l.report(section+".token_file", "stands beside username; keep one of them")
	}
	if !strings.Contains(s.Target, "{domain}") {
		l.report(section+".target", "names one space for all clients, who could then join what they see; write {domain} into it")
	}
	if len(s.Types) > 1 && !strings.Contains(s.Target, "{type}") {
		l.report(section+".target", "names one space for several types; write {type} into it")
	}
	for i, typ := range s.Types {
		if typ == "" || strings.Trim(typ, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
			l.report(index(section+".types", i), "%q is no resource type", l.show(index(section+".types", i), typ))
		}
	}
}

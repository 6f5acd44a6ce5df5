package gatehouse

# A purpose of use has its form of the record, and its people (purposes.yaml).
oblige contains {"view": data.purposes[purpose].view} if some purpose in input.subject.purpose

forbid contains row.reason if {
	some purpose in input.subject.purpose
	row := data.purposes[purpose]
	row.roles
	not shares(row.roles, input.subject.roles)
}

shares(some_roles, others) if {
	some role in some_roles
	role in others
}

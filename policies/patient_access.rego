package gatehouse

# A patient's app sees what is about that patient and nobody else
# (patient_access.yaml).
permit contains data.patient_access.reason if {
	patient_side
	allowed_to_patients
	count(input.resource.patients) > 0
	every patient in input.resource.patients {
		patient == input.subject.patient
	}
}

permit contains data.patient_access.reason if {
	patient_side
	input.action in {"read", "search"}
	covers(data.patient_access.look_up, input.resource.type)
	count(input.resource.patients) == 0
}

# patient_side: the token is bound to a patient, and its user is that patient,
# somebody who acts for the patient, or not named. A clinician's app may be
# bound to a patient too; roles say what it may do.
patient_side if {
	input.subject.patient
	not input.subject.fhir_user
}

patient_side if input.subject.fhir_user == input.subject.patient

patient_side if {
	input.subject.patient
	startswith(input.subject.fhir_user, "RelatedPerson/")
}

allowed_to_patients if {
	input.action in {"read", "search"}
	covers(data.patient_access.read, input.resource.type)
}

allowed_to_patients if {
	input.action in {"create", "update"}
	covers(data.patient_access[input.action], input.resource.type)
}

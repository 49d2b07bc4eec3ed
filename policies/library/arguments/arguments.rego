# Restricts the arguments of a tool. Each tool has rules by kind, and every rule must hold. An
# unknown kind never holds, so a misspelled rule denies. A tool without rules is denied.
package library.arguments

default allow := false

allow if {
	count(rules) > 0
	every kind, rule in rules {
		holds(kind, rule)
	}
}

rules := data.arguments[input.tenant][input.tool]

obligations := set()

# A path below one of the prefixes. Each segment starts with a letter, digit or `_` and contains
# only plain characters, which excludes `..`, `%2e`, backslashes and empty segments.
holds("path", rule) if {
	path := input.arguments[rule.argument]
	is_string(path)
	count(path) <= 1024
	regex.match(`^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$`, path)
	some prefix in rule.prefixes
	endswith(prefix, "/")
	startswith(path, prefix)
}

# One statement that begins with an allowed verb and contains no word that another verb needs.
# Comments, quoted names and a second statement are refused, because they could hide such words.
holds("sql", rule) if {
	text := input.arguments[rule.argument]
	is_string(text)
	count(text) <= 4096
	regex.match(`^[a-zA-Z][\t\n -~]*$`, text)
	not regex.match(`;|--|/\*|["\x60\\]|\$\$`, text)
	words := regex.find_n(`[a-z_]+`, lower(text), -1)
	words[0] in rule.verbs
	refused := writing - {verb | some verb in rule.verbs}
	count({word | some word in words} & refused) == 0
}

# A positive amount up to a limit.
holds("amount", rule) if {
	amount := input.arguments[rule.argument]
	is_number(amount)
	is_number(rule.max)
	amount > 0
	amount <= rule.max
}

# One recipient or up to 50, each of a listed domain; a subdomain is another domain.
holds("recipients", rule) if {
	recipients := listed(input.arguments[rule.argument])
	count(recipients) > 0
	count(recipients) <= 50
	every recipient in recipients {
		is_string(recipient)
		regex.match(`^[A-Za-z0-9._%+-]+@([a-z0-9-]+\.)+[a-z]+$`, recipient)
		split(recipient, "@")[1] in rule.domains
	}
}

listed(value) := value if is_array(value)

listed(value) := [value] if is_string(value)

reasons contains {"code": "no_argument_rules", "msg": "the tool has no rules for its arguments"} if {
	not has_rules
}

reasons contains {"code": sprintf("%s_refused", [kind]), "msg": sprintf("the rule `%s` does not hold", [kind])} if {
	some kind, rule in rules
	not holds(kind, rule)
}

has_rules if count(rules) > 0

# Every statement that writes, locks, runs code or reads files contains one of these words.
writing := {
	"alter", "analyze", "attach", "call", "copy", "create", "delete", "do", "drop", "execute", "grant",
	"insert", "into", "load", "lock", "merge", "outfile", "pragma", "reindex", "replace", "revoke", "set",
	"truncate", "update", "vacuum",
}

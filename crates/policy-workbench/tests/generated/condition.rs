//! Makes statements of bodies.

use crate::catalogue::Builtin;
use crate::maker::{FLEETING, Function, Maker};
use crate::types::Type;

const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];

impl Maker<'_> {
    /// One condition: a statement, or a few that belong together.
    pub(crate) fn condition(&mut self, depth: usize) -> Vec<String> {
        match self.rng.below(100) {
            0..16 => vec![self.comparison(depth)],
            16..22 => vec![self.expr(Type::Flag, depth + 1)],
            22..30 => self.assignment(depth),
            30..36 => self.unification(depth),
            36..48 => self.going_through(depth),
            48..54 => vec![self.every(depth)],
            54..62 => vec![self.membership(depth)],
            62..75 => vec![self.negation(depth)],
            75..81 => self.replaced(depth),
            81..86 => vec![self.flag_rule()],
            86..95 => self.some_builtin(depth),
            95..97 => {
                self.tag("`print`");
                vec![format!("print(\"seen\", {})", self.literal(Type::Any))]
            }
            _ => vec![self.type_check()],
        }
    }

    pub(crate) fn conditions(&mut self, count: usize) -> Vec<String> {
        (0..count).flat_map(|_| self.condition(0)).collect()
    }

    /// A condition that holds for most calls.
    pub(crate) fn likely(&mut self) -> Vec<String> {
        let index = self.rng.below(14);
        let (tag, text) = match index {
            0 | 1 => {
                ("reference into data by a field of input", "§.allowlist[input.tenant][input.tool]")
            }
            2 => ("`in`", "input.tool in [\"ledger\", \"docs\", \"search\", \"mail\"]"),
            3 => ("`==`", "input.action == \"call\""),
            4 => ("is_string", "is_string(input.tenant)"),
            5 => ("`<`", "input.usage < 1000"),
            6 => ("`every v in`", "every role in input.principal.roles { role != \"admin\" }"),
            7 => ("reference with `_`", "§.teams[_][_] == \"a\""),
            8 => ("count", "count(input.tool) > 2"),
            9 => ("`:=`", "limit := §.ceiling; input.usage <= limit"),
            10 => ("`some k, v in`", "some tenant, _ in §.allowlist; tenant == input.tenant"),
            11 => {
                ("`some i` before a reference", "some team; §.teams[team][_]; team == input.tenant")
            }
            12 => ("reference into input", "input.tool"),
            _ => ("object.get", "object.get(input.context, \"n\", 0) < 1000000"),
        };
        self.tag(tag);
        text.split("; ").map(str::to_owned).collect()
    }

    fn comparison(&mut self, depth: usize) -> String {
        let of = self.any_type();
        let (left, right) = (self.expr(of, depth + 1), self.expr(of, depth + 1));
        let sign = *self.rng.pick(COMPARISONS);
        self.tag(&format!("`{sign}`"));
        // OPA refuses the comparison of two literals of different types.
        if of == Type::Any {
            // A set in a variable is ordered otherwise than OPA orders it beside an object, which
            // vetting sees only of what is a set to the eye.
            let sign = if matches!(sign, "==" | "!=") { sign } else { "!=" };
            self.tag("`!=`");
            return format!("{} {sign} {right}", self.field(Type::Any));
        }
        format!("{left} {sign} {right}")
    }

    fn assignment(&mut self, depth: usize) -> Vec<String> {
        self.tag("`:=`");
        let of = self.any_type();
        let value = self.expr(of, depth + 1);
        let name = self.declare(of);
        let mut statements = vec![format!("{name} := {value}")];
        if of == Type::Number && self.rng.chance(50) {
            statements.push(format!("{name} < {}", self.literal(Type::Number)));
        }
        statements
    }

    fn unification(&mut self, depth: usize) -> Vec<String> {
        let of = self.any_type();
        let value = self.expr(of, depth + 1);
        match self.rng.below(8) {
            0 => {
                self.tag("`=` with a variable");
                let name = self.declare(of);
                vec![format!("{name} = {value}")]
            }
            1 => {
                self.tag("`=` of arrays");
                let known = self.expr(Type::Text, depth + 2);
                let name = self.declare(of);
                vec![format!("[{name}, {known}] = [{value}, {known}]")]
            }
            2 => {
                self.tag("`=` of arrays");
                // OPA refuses literals of another length.
                let local = self.rng.chance(50);
                let source = if local { self.field(Type::Texts) } else { self.place(Type::Texts) };
                let (first, second) = (self.declare(Type::Text), self.declare(Type::Text));
                vec![format!("[{first}, {second}] = {source}")]
            }
            3 => {
                self.tag("`=` of objects");
                let name = self.declare(of);
                vec![format!("{{\"a\": {name}, \"b\": 1}} = {{\"a\": {value}, \"b\": 1}}")]
            }
            4 => {
                self.tag("`=` of objects");
                let (one, other) = (self.declare(Type::Any), self.declare(of));
                let field = self.field(Type::Any);
                vec![format!(
                    "{{\"k\": [{one}, {{\"in\": {other}}}]}} = {{\"k\": [{field}, {{\"in\": {value}}}]}}"
                )]
            }
            5 => {
                self.tag("`:=` of an array");
                let name = self.declare(of);
                vec![format!("[{name}, _] := [{value}, 1]")]
            }
            6 => {
                self.tag("`:=` of an object");
                let name = self.declare(of);
                vec![format!("{{\"k\": {name}}} := {{\"k\": {value}}}")]
            }
            _ => {
                self.tag("`=` of values");
                let simple = matches!(of, Type::Number | Type::Text | Type::Flag);
                let other = if simple { self.expr(of, depth + 1) } else { self.field(Type::Any) };
                vec![format!("{other} = {value}")]
            }
        }
    }

    fn going_through(&mut self, depth: usize) -> Vec<String> {
        match self.rng.below(4) {
            0 => {
                self.tag("reference with a variable into data");
                let key = self.declare(Type::Text);
                let limit = self.literal(Type::Number);
                vec![format!("some {key}"), format!("§.limits[{key}] > {limit}")]
            }
            1 => {
                self.tag("reference with a variable into input");
                let key = self.declare(Type::Number);
                let text = self.literal(Type::Text);
                vec![format!("some {key}"), format!("input.context.names[{key}] == {text}")]
            }
            _ => {
                let text = self.iteration(depth + 1);
                vec![text]
            }
        }
    }

    fn every(&mut self, depth: usize) -> String {
        let of = self.any_collection();
        let domain = self.expr(of, depth + 2);
        self.scope(|maker| {
            let head = if maker.rng.chance(35) {
                maker.tag("`every k, v in`");
                let (key, value) = (maker.declare(of.key()), maker.declare(of.element()));
                format!("{key}, {value}")
            } else {
                maker.tag("`every v in`");
                maker.declare(of.element())
            };
            let body = maker.condition(depth + 2).join("; ");
            format!("every {head} in {domain} {{ {body} }}")
        })
    }

    fn membership(&mut self, depth: usize) -> String {
        if self.rng.chance(30) {
            return self.keyed_membership(depth);
        }
        self.tag("`in`");
        let of = self.any_collection();
        let source = self.expr(of, depth + 1);
        // OPA refuses a literal that can be in no such collection.
        let value = match of.element() {
            Type::Any => self.field(Type::Any),
            element => self.expr(element, depth + 1),
        };
        format!("{value} in {source}")
    }

    /// Of what may be missing only now and then: vetting refuses that.
    fn keyed_membership(&mut self, depth: usize) -> String {
        self.tag("`k, v in`");
        let of = *self.rng.pick(&[Type::Texts, Type::Counts]);
        let value = self.variable(of.element());
        let (key, value) = match self.rng.below(10) {
            0 => (self.expr(of.key(), depth + 2), self.expr(of.element(), depth + 1)),
            1..5 => (self.variable(of.key()), value),
            _ => (self.literal(of.key()), value),
        };
        let written = self.rng.chance(85);
        let source = if written { self.written(of) } else { self.expr(of, depth + 1) };
        format!("{key}, {value} in {source}")
    }

    /// An array or object that is one to the eye.
    fn written(&mut self, of: Type) -> String {
        if of == Type::Texts {
            format!("[{}, {}]", self.expr(Type::Text, 2), self.literal(Type::Text))
        } else {
            format!(
                "{{\"a\": {}, \"b\": {}}}",
                self.expr(Type::Number, 2),
                self.literal(Type::Number)
            )
        }
    }

    fn negation(&mut self, depth: usize) -> String {
        match self.rng.below(40) {
            0..14 => {
                self.tag("`not` of a rule");
                format!("not {}", self.flag_rule())
            }
            14..20 => {
                self.tag("`not` of a field");
                format!("not {}", self.field(Type::Flag))
            }
            20..26 => {
                self.tag("`not` of a reference into data");
                format!("not {}", self.place(Type::Flag))
            }
            26..31 => {
                self.tag("`not` of a comparison");
                let of = if self.rng.chance(50) { Type::Number } else { Type::Text };
                let left =
                    if self.rng.chance(70) { self.field(of) } else { self.expr(of, depth + 2) };
                format!("not {left} == {}", self.literal(of))
            }
            31..34 => {
                self.tag("`not` of `in`");
                let always = self.rng.chance(85);
                let field = if always { self.always() } else { self.field(Type::Text) };
                format!("not {field} in {}", self.literal(Type::Texts))
            }
            34 | 35 => {
                self.tag("`not` of a call of a field that is always there");
                format!("not startswith(input.tool, {})", self.literal(Type::Text))
            }
            36 => {
                self.tag("`not` of a call of a builtin");
                if self.rng.chance(60) {
                    let name = *self.rng.pick(&["endswith", "contains", "startswith"]);
                    self.tag(name);
                    return format!("not {name}({}, {})", self.always(), self.literal(Type::Text));
                }
                let call = self.builtin_flag(depth);
                format!("not {call}")
            }
            37 => {
                self.tag("`not` of a call of a function of the policy");
                let flags = |function: &&Function| function.of == Type::Flag;
                let function = self.functions.iter().find(flags).cloned();
                match function.filter(|_| self.rng.chance(80)) {
                    Some(function) => {
                        let args: Vec<_> =
                            function.args.iter().map(|of| self.literal(*of)).collect();
                        let name = self.reference(&function.package, &function.name);
                        format!("not {name}({})", args.join(", "))
                    }
                    None => format!("not {}", self.user_call(Type::Flag, depth + 1)),
                }
            }
            38 => {
                self.tag("`not` with `with`");
                let rule = self.flag_rule();
                format!("not {rule} with input.context.flag as {}", self.literal(Type::Flag))
            }
            _ => {
                self.tag("`not` of a membership by key");
                let source = self.literal(Type::Counts);
                format!("not \"a\", {} in {source}", self.literal(Type::Number))
            }
        }
    }

    /// A text that every call has.
    fn always(&mut self) -> String {
        (*self.rng.pick(&["input.tool", "input.tenant", "input.action"])).to_owned()
    }

    fn builtin_flag(&mut self, depth: usize) -> String {
        let fits = |builtin: &&Builtin| builtin.result == Type::Flag && self.may_use(builtin);
        let fitting: Vec<_> = self.builtins.iter().filter(fits).collect();
        let builtin = *self.rng.pick(&fitting);
        self.call(builtin, depth + 1)
    }

    /// A statement in a changed world.
    fn replaced(&mut self, depth: usize) -> Vec<String> {
        let what = match self.rng.below(3) {
            0 => self.flag_rule(),
            1 => format!("{} < {}", self.rule(Type::Number), self.literal(Type::Number)),
            _ => format!("{} == {}", self.rule(Type::Text), self.literal(Type::Text)),
        };
        let with = match self.rng.below(7) {
            0 => {
                self.tag("`with input as`");
                "input as {\"tool\": \"docs\", \"tenant\": \"acme\", \"context\": {\"n\": 1, \"s\": \"a\"}}"
                    .to_owned()
            }
            1 => {
                self.tag("`with` a field of input");
                format!("input.context.n as {}", self.expr(Type::Number, depth + 3))
            }
            2 => {
                self.tag("`with` a field of input");
                format!("input.usage as {}", self.literal(Type::Number))
            }
            3 => {
                self.tag("`with` a place in data");
                format!("§.limits as {}", self.expr(Type::Counts, depth + 3))
            }
            4 => {
                self.tag("two `with`");
                let (first, second) = (self.literal(Type::Text), self.literal(Type::Text));
                format!("input.context.s as {first} with §.owner as {second}")
            }
            5 => {
                self.tag("`with` a builtin as a value");
                return vec![format!(
                    "startswith(input.tool, \"a\") with startswith as {}",
                    self.literal(Type::Flag)
                )];
            }
            _ => return self.replaced_function(depth),
        };
        vec![format!("{what} with {with}")]
    }

    fn replaced_function(&mut self, depth: usize) -> Vec<String> {
        let Some(function) = self.functions.first().cloned() else {
            return vec![self.comparison(depth)];
        };
        let call = self.call_of(&function, depth + 1);
        let name = self.reference(&function.package, &function.name);
        let value = self.literal(function.of);
        let result = self.declare(function.of);
        self.tag("`with` a function as a value");
        vec![format!("{result} := {call} with {name} as {value}")]
    }

    /// A rule that is true or not there.
    pub(crate) fn flag_rule(&mut self) -> String {
        if self.rules.iter().any(|rule| rule.of == Type::Flag) {
            self.rule(Type::Flag)
        } else {
            self.field(Type::Flag)
        }
    }

    fn type_check(&mut self) -> String {
        let of = self.any_type();
        let field = self.field(of);
        let name = match of {
            Type::Number => "is_number",
            Type::Text => "is_string",
            Type::Flag => "is_boolean",
            Type::Texts | Type::Numbers => "is_array",
            Type::TextSet | Type::NumberSet => "is_set",
            Type::Counts | Type::Labels | Type::Tree => "is_object",
            Type::Any => "is_null",
        };
        self.tag(name);
        format!("{name}({field})")
    }

    fn some_builtin(&mut self, depth: usize) -> Vec<String> {
        let fits = |builtin: &&Builtin| self.v0 || !builtin.deprecated;
        let fitting: Vec<_> = self.builtins.iter().filter(fits).collect();
        let builtin = *self.rng.pick(&fitting);
        self.builtin_statements(builtin, depth)
    }

    /// A call as a statement of its own, whose result is kept for what follows.
    pub(crate) fn builtin_statements(&mut self, builtin: &Builtin, depth: usize) -> Vec<String> {
        if builtin.name == "walk" {
            return self.walk(depth);
        }
        let call = self.call(builtin, depth + 1);
        if FLEETING.contains(&builtin.name.as_str()) {
            let check = if builtin.name == "uuid.rfc4122" { "is_string" } else { "is_number" };
            self.tag(check);
            return vec![format!("{check}({call})")];
        }
        let of_trace = builtin.name == "trace" && self.rng.chance(95);
        if of_trace || (builtin.result == Type::Flag && self.rng.chance(70)) {
            return vec![call];
        }
        if builtin.name == "json.match_schema" && self.rng.chance(90) {
            return vec![format!("{call}[0]")];
        }
        let name = self.declare(builtin.result);
        if self.rng.chance(10) && !builtin.args.is_empty() {
            self.tag("result as a last argument");
            let call = call.strip_suffix(')').unwrap().to_owned();
            return vec![format!("{call}, {name})")];
        }
        vec![format!("{name} := {call}")]
    }

    fn walk(&mut self, depth: usize) -> Vec<String> {
        self.tag("walk");
        let source = self.expr(Type::Tree, depth + 2);
        let (path, value) = (self.declare(Type::Any), self.declare(Type::Any));
        let text = match self.rng.below(8) {
            0 => {
                self.variables.truncate(self.variables.len() - 2);
                return vec![format!("walk({source}, [[\"x\", \"n\"], {value}])")];
            }
            _ => format!("walk({source}, [{path}, {value}])"),
        };
        vec![text]
    }
}

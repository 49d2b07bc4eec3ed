# Allows a tool on some days of the week, from one time of day until another, in a time zone. The
# time is that of the server's clock, not the caller's.
package library.time_windows

default allow := false

allow if {
	day_allowed
	hour_allowed
}

window := data.time_windows[input.tenant][input.tool]

now := instant(input.time)

day_allowed if {
	is_string(window.zone)
	window.days[time.weekday([now, window.zone])] == true
}

# Minutes of the day; the end is not part of the window.
hour_allowed if {
	is_string(window.zone)
	clock := time.clock([now, window.zone])
	minute := (clock[0] * 60) + clock[1]
	is_number(window.from_minute)
	is_number(window.to_minute)
	minute >= window.from_minute
	minute < window.to_minute
}

obligations := set()

reasons contains {"code": "no_time_window", "msg": "the tool has no time window"} if not window

reasons contains {"code": "time_invalid", "msg": "the time is not a valid time in utc"} if not now

reasons contains {"code": "day_not_allowed", "msg": "the tool may not be used on this day"} if {
	window
	now
	not day_allowed
}

reasons contains {"code": "hour_not_allowed", "msg": "the tool may not be used at this time of the day"} if {
	window
	now
	not hour_allowed
}

# Nanoseconds since 1970 of a time in UTC; undefined for anything else. The pattern accepts only
# dates that exist: a failing conversion is undefined in OPA, but an error in the embedded engine.
instant(text) := time.parse_rfc3339_ns(text) if {
	is_string(text)
	regex.match(moment, text)
}

moment := concat("", [
	`^(20([02468][048]|[13579][26])-02-29|20[0-9][0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|`,
	`(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])))`,
	`T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$`,
])

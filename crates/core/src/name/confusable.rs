//! Characters that pass for other characters, or for none.

/// Characters that change how the text around them is read, or that are not seen at all:
/// bidirectional controls, zero-width characters, line separators, fillers and tags.
pub(crate) fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{2800}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}'
        | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// The ASCII character that `c` is easily taken for. Not a complete list: identifiers refuse every
/// character outside ASCII anyway, and this only makes the message say why.
pub(super) fn lookalike(c: char) -> Option<char> {
    let code = u32::from(c);
    let offset_from = |ascii: u8, offset: u32| char::from_u32(u32::from(ascii) + offset);
    match code {
        // Fullwidth forms repeat ASCII in order.
        0xFF01..=0xFF5E => return offset_from(b'!', code - 0xFF01),
        // Mathematical alphabets: A-Z then a-z, thirteen times; then digits, five times.
        0x1D400..=0x1D6A3 => {
            let letter = (code - 0x1D400) % 52;
            let (base, offset) = if letter < 26 { (b'A', letter) } else { (b'a', letter - 26) };
            return offset_from(base, offset);
        }
        0x1D7CE..=0x1D7FF => return offset_from(b'0', (code - 0x1D7CE) % 10),
        _ => {}
    }
    Some(match c {
        'А' | 'Α' => 'A',
        'В' | 'Β' => 'B',
        'С' | 'Ϲ' => 'C',
        'Е' | 'Ε' => 'E',
        'Н' | 'Η' => 'H',
        'І' | 'Ι' | 'Ӏ' => 'I',
        'Ј' => 'J',
        'К' | 'Κ' | '\u{212A}' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'О' | 'Ο' => 'O',
        'Р' | 'Ρ' => 'P',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'Х' | 'Χ' => 'X',
        'Ү' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        'а' | 'α' | 'ɑ' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' => 'e',
        'ɡ' => 'g',
        'һ' => 'h',
        'і' | 'ι' | 'ı' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' | 'ℓ' => 'l',
        'о' | 'ο' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'ѕ' => 's',
        'υ' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2024}' | '\u{3002}' => '.',
        '\u{2044}' | '\u{2215}' => '/',
        _ => return None,
    })
}

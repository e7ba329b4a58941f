"""What Python's phonenumbers makes of numbers of every country, in every country.

Prints one line for each, with tabs between: what is compared, in which country, the text, what it means ("-": nothing),
and the number it was made from.
"""

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberFormat, PhoneNumberType

# What is dialled before a foreign number, where the metadata has only a pattern: one of a carrier's.
CARRIERS = {
    "BO": "0010", "BR": "0015", "CL": "1880", "CO": "009", "ID": "008", "IL": "012", "KH": "001", "KP": "99", "KR": "002",
    "MX": "00", "PW": "011", "SB": "00", "SG": "001", "TH": "001", "TW": "002", "TZ": "000", "UG": "000",
}


def read(text, country):
    """The number in the form E.164, if there is such a number."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def expected(text, country):
    """Python's reading, where there is no second one: with 00 in front by the number's own country, without (0)."""
    readings = set()
    for text in {text, text.replace("(0)", "", 1)}:
        readings.add(read(text, country))
        if text.startswith("00"):
            readings.add(read("+" + text[2:], None))
    readings.discard(None)
    return readings.pop() if len(readings) == 1 else "-"


def dialled_abroad(country):
    metadata = PhoneMetadata.metadata_for_region(country)
    prefix = metadata.preferred_international_prefix or metadata.international_prefix
    return prefix.replace("~", "") if prefix.replace("~", "").isdigit() else CARRIERS[country]


def examples(kinds):
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in kinds:
            number = phonenumbers.example_number_for_type(country, kind)
            if number:
                yield country, kind, number


def written(number):
    """The ways in which people write a number with its country."""
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    grouped = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    code, national = grouped.split(" ", 1) if " " in grouped else (f"+{number.country_code}", e164[len(str(number.country_code)) + 1:])
    yield e164
    yield grouped
    yield grouped.replace(" ", "-")
    yield f"({code}) {national}"
    yield f"{code} (0){national}"


def main():
    countries = sorted(phonenumbers.SUPPORTED_REGIONS)
    ordinary = list(examples([PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE]))
    for country, _, number in ordinary:
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        for text in (national, national.replace(" ", ""), phonenumbers.national_significant_number(number)):
            print("home", country, text, expected(text, country), e164, sep="\t")
        for text in written(number):
            means = expected(text, None)
            # Its own country, and one of each kind of neighbour, is asked; the plain form is tried everywhere.
            for here in (countries if text == e164 else (country, "US", "DE", "JP", "BR", "IT", "RU")):
                print("plus", here, text, means, e164, sep="\t")
    for here in countries:
        exit_code = dialled_abroad(here)
        only_00 = PhoneMetadata.metadata_for_region(here).international_prefix == "00"
        for _, _, number in ordinary:
            e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            if only_00:
                print("00", here, "00" + e164[1:], e164, e164, sep="\t")
                continue
            print("00", here, "00" + e164[1:], expected("00" + e164[1:], here), e164, sep="\t")
            print("exit", here, exit_code + e164[1:], expected(exit_code + e164[1:], here), e164, sep="\t")
    for _, _, number in examples(PhoneNumberType.values()):
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        of = [country for country in countries if phonenumbers.is_valid_number_for_region(number, country)]
        kind = PhoneNumberType.to_string(phonenumbers.number_type(number))
        print("country", ",".join(of), e164, kind, e164, sep="\t")


main()

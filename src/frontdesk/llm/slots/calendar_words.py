"""The words that dates and times are made of, folded, in six languages together.

Full names of weekdays and months mean the same day in every language that has them, so the contact's language need
not be known for sure (it is guessed from a short text). What differs by language is a table by language.
"""

from frontdesk.llm.slots.text import fold

_WEEKDAY_NAMES = (
    "monday montag lunes lundi segunda-feira segunda senin",
    "tuesday dienstag martes mardi terca-feira terca selasa",
    "wednesday mittwoch miercoles mercredi quarta-feira quarta rabu",
    "thursday donnerstag jueves jeudi quinta-feira quinta kamis",
    "friday freitag viernes vendredi sexta-feira sexta jumat jum'at",
    "saturday samstag sonnabend sabado samedi sabtu",
    "sunday sonntag domingo dimanche minggu",
)
WEEKDAYS = {name: day for day, names in enumerate(_WEEKDAY_NAMES) for name in names.split()}
# In other tongues or senses these are ordinary words ("sun", "wed", "segunda"): a weekday only with a sign of it.
SHORT_WEEKDAYS = {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
WEEKDAYS_OF_ONE_LANGUAGE = {"segunda": "pt", "terca": "pt", "quarta": "pt", "quinta": "pt", "sexta": "pt"}

_MONTH_NAMES = (
    "january januar enero janvier janeiro januari jan janv ene",
    "february februar febrero fevrier fevereiro februari feb fevr fev",
    "march marz marzo mars marco maret mar",
    "april abril avril apr abr avr",
    "may mai mayo maio mei",
    "june juni junio juin junho jun",
    "july juli julio juillet julho jul juil",
    "august agosto aout agustus aug ago agu",
    "september septiembre setiembre septembre setembro sept sep",
    "october oktober octubre octobre outubro oct okt",
    "november noviembre novembre novembro nov",
    "december dezember diciembre decembre dezembro desember dec dez dic des",
)
MONTHS = {name: month for month, names in enumerate(_MONTH_NAMES, start=1) for name in names.split()}

# Phrase to days from today.
RELATIVE_DAYS = {
    "the day after tomorrow": 2, "day after tomorrow": 2, "tomorrow": 1, "today": 0, "tonight": 0, "yesterday": -1,
    "tmrw": 1, "tmr": 1, "tomorow": 1, "tommorow": 1, "tommorrow": 1, "tonite": 0,
    "pasado manana": 2, "hoy": 0, "esta noche": 0, "ayer": -1,
    "ubermorgen": 2, "uebermorgen": 2, "heute": 0, "gestern": -1,
    "apres-demain": 2, "apres demain": 2, "demain": 1, "aujourd'hui": 0, "ce soir": 0, "hier": -1,
    "depois de amanha": 2, "amanha": 1, "hoje": 0, "ontem": -1,
    "besok": 1, "hari ini": 0, "malam ini": 0, "nanti malam": 0, "lusa": 2, "kemarin": -1,
}  # fmt: skip
RELATIVE_DAYS_OF_ONE_LANGUAGE = {"hier": "fr"}  # German: here

_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
DAY_ORDINALS = {word: day for day, word in enumerate(_ORDINALS.split(), start=1)} | {
    "twenty-first": 21, "twenty-second": 22, "twenty-third": 23, "twenty-fourth": 24, "twenty-fifth": 25,
    "twenty-sixth": 26, "twenty-seventh": 27, "twenty-eighth": 28, "twenty-ninth": 29, "thirtieth": 30,
    "thirty-first": 31, "premier": 1, "primero": 1, "primeiro": 1, "ersten": 1,
}  # fmt: skip

# Units of "in three weeks", in days; months are counted by the calendar.
UNITS = {
    "day": 1, "days": 1, "week": 7, "weeks": 7, "month": 30, "months": 30, "fortnight": 14,
    "dia": 1, "dias": 1, "semana": 7, "semanas": 7, "mes": 30, "meses": 30,
    "tag": 1, "tage": 1, "tagen": 1, "woche": 7, "wochen": 7, "monat": 30, "monate": 30, "monaten": 30,
    "jour": 1, "jours": 1, "semaine": 7, "semaines": 7, "mois": 30,
    "hari": 1, "minggu": 7, "pekan": 7, "bulan": 30,
}  # fmt: skip

NEXT_WEEK = (
    "next week", "the following week", "the week after", "nachste woche", "nachster woche", "kommende woche",
    "kommender woche", "proxima semana", "semana que viene", "semana proxima", "semaine prochaine", "semana que vem",
    "minggu depan", "pekan depan",
)  # fmt: skip
WEEK_AFTER_NEXT = ("the week after next", "week after next", "ubernachste woche", "ubernachster woche")
THIS_WEEK = ("this week", "diese woche", "dieser woche", "esta semana", "cette semaine", "minggu ini", "pekan ini")

MORNING, AFTERNOON, EVENING = "morning", "afternoon", "evening"
PARTS_OF_DAY = (MORNING, AFTERNOON, EVENING)
_PART_WORDS = {
    MORNING: "in the morning,this morning,morning,mornings,forenoon,por la manana,de la manana,en la manana,"
    "esta manana,am morgen,morgens,vormittag,vormittags,am vormittag,morgen fruh,fruhmorgens,in der fruh,le matin,"
    "du matin,ce matin,matin,matinee,dans la matinee,de manha,da manha,pela manha,na parte da manha,manha,"
    "pagi,pagi hari",
    AFTERNOON: "in the afternoon,this afternoon,afternoon,afternoons,after lunch,por la tarde,de la tarde,en la tarde,"
    "esta tarde,tarde,nachmittag,nachmittags,am nachmittag,l'apres-midi,apres-midi,de l'apres-midi,cet apres-midi,"
    "apres midi,a tarde,da tarde,de tarde,na parte da tarde,siang,siang hari,sore,sore hari",
    EVENING: "in the evening,this evening,evening,evenings,at night,tonight,night,por la noche,de la noche,esta noche,"
    "noche,am abend,abends,abend,heute abend,nachts,le soir,du soir,ce soir,soir,soiree,en soiree,de la nuit,a noite,"
    "da noite,de noite,noite,malam,malam hari",
}
PART_OF_DAY = {fold(phrase): part for part, phrases in _PART_WORDS.items() for phrase in phrases.split(",")}

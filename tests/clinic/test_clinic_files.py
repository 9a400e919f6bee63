"""The example clinic is right: its files are valid, speak six languages, and its documents answer what people ask."""

import re
from pathlib import Path

import pytest
from tests.turns import begun_turn

from frontdesk.agents.store import load_definitions
from frontdesk.apply import ApplyServices, apply_folder
from frontdesk.apply.files import Folder, read_folder
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.db import Database
from frontdesk.db.cipher import Cipher
from frontdesk.embedding.minilm import MiniLM
from frontdesk.knowledge.service import Knowledge
from frontdesk.llm.prices import Prices
from frontdesk.llm.types import Usage
from frontdesk.server.providers import LOCAL, PRICE_NAMES
from frontdesk.tools.python import PythonFiles
from frontdesk.tools.records import PostgresRecords
from frontdesk.tools.types import ToolContext

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"
LANGUAGES = {"en", "es", "de", "fr", "pt", "id"}

# What somebody might ask, for each passage: its document and heading.
QUESTIONS = {
    ("after-surgery-care.md", "Going home"): "Can I drive home by myself after a general anaesthetic?",
    ("after-surgery-care.md", "The wound"): "When may I shower after the operation?",
    ("after-surgery-care.md", "Pain"): "Can I take ibuprofen for the pain after surgery?",
    ("after-surgery-care.md", "Eating and drinking"): "I feel sick after my operation, what should I eat?",
    ("after-surgery-care.md", "Moving and working"): "How much can I lift after a hernia operation?",
    ("after-surgery-care.md", "When to call us"): "My wound is red and swollen, whom do I call?",
    ("after-surgery-care.md", "Follow-up visit"): "When is the follow-up visit after surgery?",
    ("before-surgery.md", "Eating and drinking before an operation"): "When must I stop eating before my operation?",
    ("before-surgery.md", "Medicines before an operation"): "Do I pause blood thinners before surgery?",
    ("before-surgery.md", "What to bring to the day ward"): "What should I bring to the day ward?",
    ("before-surgery.md", "When and where to come"): "What time do I come to the day ward, and what if I have a cold?",
    ("before-surgery.md", "Somebody to take you home"): "Does someone have to take me home and stay overnight?",
    ("billing.md", "When and how you get the invoice"): "When will I get my invoice and when is it due?",
    ("billing.md", "Ways to pay"): "Can I pay by credit card or Apple Pay?",
    ("billing.md", "Instalments"): "Can I pay in monthly instalments?",
    ("billing.md", "Questions about an invoice"): "There is something wrong on my invoice, whom do I contact?",
    ("billing.md", "Copies of invoices"): "Can I get a copy of an old invoice?",
    ("billing.md", "Reminders and late payment"): "What does a payment reminder cost?",
    ("billing.md", "Missed appointments"): "What do I pay for a missed appointment?",
    ("billing.md", "Refunds"): "I paid too much, when do I get my money back?",
    ("blood-test-preparation.md", ""): "How do I prepare for a blood test?",
    ("blood-test-preparation.md", "Do I need to fast?"): "How long do I fast before a cholesterol test?",
    ("blood-test-preparation.md", "Coffee, tea, alcohol and smoking"): "May I drink coffee before the blood test?",
    ("blood-test-preparation.md", "Medicines before a blood test"): "Do I take thyroid tablets before the blood test?",
    ("blood-test-preparation.md", "Sport"): "Can I exercise on the day before the blood test?",
    ("blood-test-preparation.md", "At the laboratory"): "What do I bring to the laboratory?",
    ("blood-test-preparation.md", "After the test"): "I have a bruise after the blood test, is that bad?",
    ("blood-test-preparation.md", "Results"): "When are the results of my blood test ready?",
    ("blood-test-preparation.md", "Children"): "Is there a numbing cream for my child's blood test?",
    ("children.md", "First visit"): "What do I bring to my child's first visit?",
    ("children.md", "Check-ups for babies and children"): "At what age does my baby need check-ups?",
    ("children.md", "A child with fever"): "My baby has a fever, when should I see a doctor?",
    ("children.md", "Infectious illnesses"): "My son may have chickenpox, where do we wait?",
    ("children.md", "Play area, feeding and changing"): "Where can I breastfeed or change my baby?",
    ("children.md", "Brothers and sisters"): "Can I bring my child's brothers and sisters?",
    ("departments-and-doctors.md", "General practice"): "On which days does Dr. Okafor work?",
    ("departments-and-doctors.md", "Cardiology"): "Who treats heart problems, and do I need a referral?",
    ("departments-and-doctors.md", "Dermatology"): "Who can check my moles?",
    ("departments-and-doctors.md", "Paediatrics"): "Who is your children's doctor?",
    ("departments-and-doctors.md", "Gynaecology"): "Does the gynaecologist speak French?",
    ("departments-and-doctors.md", "Orthopaedics"): "Which doctor treats sports injuries?",
    ("departments-and-doctors.md", "Physiotherapy"): "How long is a physiotherapy session?",
    ("departments-and-doctors.md", "Laboratory and imaging"): "Where is the laboratory and who does X-rays?",
    ("departments-and-doctors.md", "Interpreters"): "Do you have a sign language interpreter?",
    ("faq.de.md", "Besuchszeiten"): "Wann sind die Besuchszeiten?",
    ("faq.de.md", "Öffnungszeiten"): "Wann hat die Klinik geöffnet?",
    ("faq.de.md", "Adresse und Telefon"): "Wie lauten Adresse und Telefon?",
    ("faq.de.md", "Parken"): "Wo kann ich parken?",
    ("faq.de.md", "Versicherungen"): "Welche Versicherungen akzeptieren Sie?",
    ("faq.de.md", "Preise ohne Versicherung"): "Was kostet ein Besuch ohne Versicherung?",
    ("faq.de.md", "Vorbereitung auf eine Blutabnahme"): "Wie bereite ich mich auf eine Blutabnahme vor?",
    ("faq.de.md", "Termin absagen oder verschieben"): "Kann ich einen Termin absagen oder verschieben?",
    ("faq.de.md", "Kinder"): "Was bringe ich für mein Kind mit?",
    ("faq.de.md", "Rezepte"): "Wie bekomme ich ein Folgerezept?",
    ("faq.es.md", "Horario de visitas"): "¿Cuál es el horario de visitas?",
    ("faq.es.md", "Horario de apertura"): "¿A qué hora abre la clínica los sábados?",
    ("faq.es.md", "Dirección y teléfono"): "¿Cuál es la dirección y el teléfono?",
    ("faq.es.md", "Aparcamiento"): "¿Dónde puedo aparcar?",
    ("faq.es.md", "Seguros"): "¿Qué seguros aceptan?",
    ("faq.es.md", "Precios sin seguro"): "¿Cuánto cuesta una consulta sin seguro?",
    ("faq.es.md", "Preparación para un análisis de sangre"): "¿Cómo me preparo para un análisis de sangre?",
    ("faq.es.md", "Cancelar o cambiar una cita"): "¿Hasta cuándo puedo cancelar una cita?",
    ("faq.es.md", "Niños"): "¿Qué traigo para mi niño?",
    ("faq.es.md", "Recetas"): "¿Cómo pido una receta repetida?",
    ("faq.fr.md", "Heures de visite"): "Quelles sont les heures de visite ?",
    ("faq.fr.md", "Horaires d'ouverture"): "La clinique est-elle ouverte le samedi ?",
    ("faq.fr.md", "Adresse et téléphone"): "Quelle est l'adresse de la clinique ?",
    ("faq.fr.md", "Où se garer"): "Où puis-je me garer ?",
    ("faq.fr.md", "Assurances"): "Quelles assurances acceptez-vous ?",
    ("faq.fr.md", "Prix sans assurance"): "Combien coûte une consultation sans assurance ?",
    ("faq.fr.md", "Préparation à une prise de sang"): "Comment me préparer à une prise de sang ?",
    ("faq.fr.md", "Annuler ou déplacer un rendez-vous"): "Comment annuler un rendez-vous ?",
    ("faq.fr.md", "Enfants"): "Que faut-il apporter pour un enfant ?",
    ("faq.fr.md", "Ordonnances"): "Comment renouveler une ordonnance ?",
    ("faq.id.md", "Jam besuk"): "Jam besuk pukul berapa?",
    ("faq.id.md", "Jam buka"): "Apakah klinik buka pada hari Minggu?",
    ("faq.id.md", "Alamat dan telepon"): "Di mana alamat klinik?",
    ("faq.id.md", "Parkir"): "Di mana saya bisa parkir?",
    ("faq.id.md", "Asuransi"): "Asuransi apa saja yang diterima?",
    ("faq.id.md", "Biaya tanpa asuransi"): "Berapa biaya konsultasi tanpa asuransi?",
    ("faq.id.md", "Persiapan tes darah"): "Bagaimana persiapan tes darah?",
    ("faq.id.md", "Membatalkan atau memindahkan janji temu"): "Bisakah janji temu dibatalkan?",
    ("faq.id.md", "Anak-anak"): "Apa yang harus dibawa untuk anak?",
    ("faq.id.md", "Resep"): "Bagaimana memesan resep ulang?",
    ("faq.pt.md", "Horário de visitas"): "Qual é o horário de visitas?",
    ("faq.pt.md", "Horário de abertura"): "A clínica abre ao sábado?",
    ("faq.pt.md", "Morada e telefone"): "Qual é o telefone da clínica?",
    ("faq.pt.md", "Estacionamento"): "Onde posso estacionar?",
    ("faq.pt.md", "Seguros"): "Que seguros aceitam?",
    ("faq.pt.md", "Preços sem seguro"): "Quanto custa uma consulta sem seguro?",
    ("faq.pt.md", "Preparação para uma análise ao sangue"): "Como me preparo para uma análise ao sangue?",
    ("faq.pt.md", "Desmarcar ou mudar uma consulta"): "Posso desmarcar uma consulta?",
    ("faq.pt.md", "Crianças"): "O que trago para uma criança?",
    ("faq.pt.md", "Receitas"): "Como peço uma receita repetida?",
    ("frequently-asked-questions.md", "How do I become a patient?"): "How can I register as a new patient?",
    ("frequently-asked-questions.md", "How long do I wait for an appointment?"): "How long will I wait?",
    ("frequently-asked-questions.md", "Can I see a doctor by video?"): "Do you offer video consultations?",
    ("frequently-asked-questions.md", "How do I cancel or move an appointment?"): "Until when can I cancel?",
    ("frequently-asked-questions.md", "How do I get my test results?"): "Where do I find my test results?",
    ("frequently-asked-questions.md", "I forgot my password of the patient portal"): "I forgot my portal password",
    ("frequently-asked-questions.md", "How do I get my records from another doctor?"): "Can you get my old records?",
    ("frequently-asked-questions.md", "Is there a café and wireless internet?"): "What is the wifi password?",
    ("frequently-asked-questions.md", "I left something at the clinic"): "I lost my umbrella at the clinic",
    ("frequently-asked-questions.md", "How can I give feedback or complain?"): "How do I make a complaint?",
    ("imaging-preparation.html", ""): "Where is imaging and how early should I come?",
    ("imaging-preparation.html", "MRI"): "Can I have an MRI with a pacemaker?",
    ("imaging-preparation.html", "CT scan"): "Should I stop metformin before a CT scan?",
    ("imaging-preparation.html", "Ultrasound"): "Do I need a full bladder for an ultrasound?",
    ("imaging-preparation.html", "X-ray and mammography"): "Can I use deodorant before a mammography?",
    ("imaging-preparation.html", "Results of imaging"): "Can I get my MRI pictures on a USB stick?",
    ("insurance.md", "Insurers with direct billing"): "Do you accept Aurelia Health?",
    ("insurance.md", "Public health scheme"): "Do HealthNet patients pay anything?",
    ("insurance.md", "Other insurers"): "My insurer is not on your list, how do I get the money back?",
    ("insurance.md", "Your own share (co-payment)"): "How much is the co-payment for a specialist?",
    ("insurance.md", "Referrals and pre-authorisation"): "Do I need pre-authorisation for an MRI?",
    ("insurance.md", "Without insurance"): "What does a visit cost without insurance?",
    ("insurance.md", "Travel insurance and visitors from abroad"): "Is the European Health Insurance Card accepted?",
    ("opening-hours.md", "Opening hours"): "Are you open on Saturday?",
    ("opening-hours.md", "Laboratory hours"): "When can I have blood taken at the laboratory?",
    ("opening-hours.md", "Pharmacy hours"): "When does the pharmacy close?",
    ("opening-hours.md", "Telephone, e-mail and post"): "What is your phone number and e-mail address?",
    ("opening-hours.md", "When we are closed"): "Whom do I call at night when the clinic is closed?",
    ("parking-and-directions.md", "Address"): "What is the address of the clinic?",
    ("parking-and-directions.md", "By bus and train"): "Which bus goes to the clinic?",
    ("parking-and-directions.md", "By car and parking"): "How much does parking cost?",
    ("parking-and-directions.md", "Disabled parking and wheelchairs"): "Can I borrow a wheelchair?",
    ("parking-and-directions.md", "By bicycle and taxi"): "Where can I leave my bicycle?",
    ("parking-and-directions.md", "Inside the building"): "On which floor is dermatology?",
    ("prescriptions.md", "Repeat prescriptions"): "How do I get a repeat prescription?",
    ("prescriptions.md", "Electronic prescriptions"): "How long is a prescription valid?",
    ("prescriptions.md", "How often you must see the doctor"): "How often must I see the doctor?",
    ("prescriptions.md", "Sick notes"): "Can I get a sick note for work?",
    ("prescriptions.md", "Medical certificates"): "What does a certificate for the driving licence cost?",
    ("vaccinations.md", "Which vaccinations we give"): "Do you vaccinate against tetanus and HPV?",
    ("vaccinations.md", "Flu and COVID-19"): "Is the flu vaccine free?",
    ("vaccinations.md", "Travel vaccinations"): "When can I get a yellow fever vaccination?",
    ("vaccinations.md", "Bring your vaccination record"): "I lost my vaccination card",
    ("vaccinations.md", "Can I be vaccinated when I am ill?"): "Can I be vaccinated with a cold?",
    ("vaccinations.md", "After the vaccination"): "Is a sore arm after the vaccination normal?",
    ("visiting-hours.md", "Visiting hours"): "When are visiting hours?",
    ("visiting-hours.md", "How many visitors"): "How many visitors are allowed at the bedside?",
    ("visiting-hours.md", "Children as visitors"): "May my little daughter come along to visit?",
    ("visiting-hours.md", "When not to visit"): "I have a cough, can I still visit?",
    ("visiting-hours.md", "What to bring and what to leave at home"): "Can I bring flowers to a patient?",
    ("visiting-hours.md", "Hygiene"): "Do visitors have to wear masks and disinfect their hands?",
    ("visiting-hours.md", "Video visits"): "Can I visit my mother by video?",
}  # fmt: skip
PRIVACY = {
    "How long are my medical records kept?": "ten years after your last visit",
    "Can my employer see my medical record?": "Your employer never gets information",
    "Do you give information to my relatives?": "written consent",
    "How do I get a copy of my record?": "copy of it free of charge",
    "Is this chat encrypted?": "encrypted when they are stored",
    "Who is your data protection officer?": "Orla Finnegan",
}


@pytest.fixture(scope="module")
def folder() -> Folder:
    return read_folder(CLINIC)


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> MiniLM:
    return MiniLM.load(tmp_path_factory.mktemp("models"))


@pytest.fixture
def services(database: Database, embedder: MiniLM) -> ApplyServices:
    async def fit(_definitions: object) -> bool:
        return False

    return ApplyServices(database, Knowledge(database, embedder), Cipher([b"k" * 32]), fit, {})


def test_every_language_has_its_emergency_and_human_text(folder: Folder) -> None:
    assert set(folder.settings.languages) == LANGUAGES
    assert folder.settings.emergency.texts.keys() == LANGUAGES
    assert folder.settings.human_text.keys() == LANGUAGES
    assert all("112" in text for text in folder.settings.emergency.texts.values())


def test_every_agent_has_twenty_english_examples_and_some_in_every_other_language(folder: Folder) -> None:
    for agent in folder.agents.values():
        source = (CLINIC / "agents" / f"{agent.name}.yaml").read_text()
        english, others = source.split("  # other languages\n")
        assert len(re.findall(r"^  - ", english.split("examples:")[1], re.MULTILINE)) >= 20, agent.name
        assert len(re.findall(r"^  - ", others, re.MULTILINE)) >= 20, agent.name


def test_every_parameter_can_be_asked_for_in_every_language(folder: Folder) -> None:
    for tool in folder.tools.values():
        for name, parameter in tool.input_schema["properties"].items():
            assert parameter["x-question"].keys() == LANGUAGES, f"{tool.name}.{name}"


async def test_every_model_has_a_price(folder: Folder) -> None:
    prices = Prices(PRICE_NAMES, free=[LOCAL])
    for target in {target for alias in folder.aliases.values() for target in alias.targets}:
        await prices.load(target.provider, target.model)
        assert prices.cost(target.provider, target.model, Usage(), SystemClock().now()) is not None, target.model


def test_every_chain_ends_with_the_local_model(folder: Folder) -> None:
    assert all(alias.targets[-1].provider == "local" for alias in folder.aliases.values())


async def test_every_passage_is_found_by_a_natural_question(services: ApplyServices) -> None:
    report = await apply_folder(CLINIC, services)
    assert report.tenant_id is not None
    assert report.documents is not None
    assert report.documents.refused == ()
    knowledge, missed = services.knowledge, []
    for (document, heading), question in QUESTIONS.items():
        found = await knowledge.search(report.tenant_id, question, top_k=3)
        places = [(passage.document, passage.heading.partition(" › ")[2]) for passage in found]
        if (document, heading) not in places:
            missed.append((question, places))
    for question, words in PRIVACY.items():
        found = await knowledge.search(report.tenant_id, question, top_k=3)
        if not any(words in passage.text for passage in found):
            missed.append((question, [(passage.document, "") for passage in found]))
    assert missed == []
    for (document, _), question in QUESTIONS.items():
        first = (await knowledge.search(report.tenant_id, question, top_k=1))[0].document
        is_sheet = document.startswith("faq.")
        assert first == document if is_sheet else not first.startswith("faq."), (question, first)
    async with services.database.scope(report.tenant_id) as scope:
        rows = await scope.fetch(
            "SELECT d.name, p.heading FROM passages AS p JOIN documents AS d ON d.id = p.document_id LIMIT 1000"
        )
    asked = {document for document, _ in QUESTIONS} | {"privacy.txt"}
    assert {row["name"] for row in rows} == asked
    headings = {(row["name"], row["heading"].partition(" › ")[2]) for row in rows if row["name"] != "privacy.txt"}
    assert headings == set(QUESTIONS), "each passage has its question"


async def test_applied_it_is_whole_and_a_second_time_unchanged(services: ApplyServices) -> None:
    first = await apply_folder(CLINIC, services)
    assert first.tenant_id is not None
    async with services.database.scope(first.tenant_id) as scope:
        definitions = await load_definitions(scope)
    assert set(definitions.agents) == {"appointments", "general_info", "billing", "test_preparation"}
    assert (await apply_folder(CLINIC, services)).plan.is_empty


# Billing's own tools


async def test_an_insurer_is_told_with_its_terms_in_the_contacts_language(database: Database) -> None:
    files = PythonFiles({"clinic": CLINIC})
    billing = files.load(files.path("clinic", "tools/billing.py"))
    tenant_id = new_id()
    records = PostgresRecords(database, tenant_id, new_id())
    context = ToolContext(tenant_id, new_id(), "ana", SystemClock().now(), "de", "call-1", records)
    result = await billing.check_insurance({"insurer": "Aurelia Health"}, context)
    assert result["direct_billing"]
    assert result["referral"]
    assert result["message"].startswith("Ja, wir akzeptieren **Aurelia Health**")
    assert {*billing.TEXTS} == LANGUAGES


async def test_the_order_of_a_copy_is_kept_once_however_often_it_is_tried(database: Database) -> None:
    files = PythonFiles({"clinic": CLINIC})
    billing = files.load(files.path("clinic", "tools/billing.py"))
    tenant_id = new_id()
    records = PostgresRecords(database, tenant_id, await begun_turn(database, tenant_id))
    context = ToolContext(tenant_id, new_id(), "ana", SystemClock().now(), "en", "call-1", records)
    for _ in range(2):
        await billing.request_invoice_copy({"invoice_number": "LC-204518", "email": "ana@example.com"}, context)
    assert len(await records.find("invoice_copies", {"contact": "ana"})) == 1


def test_the_clinics_insurers_are_those_of_its_schema(folder: Folder) -> None:
    files = PythonFiles({"clinic": CLINIC})
    billing = files.load(files.path("clinic", "tools/billing.py"))
    calendar = files.load(files.path("clinic", "tools/appointments.py"))
    insurer = folder.tools["check_insurance"].input_schema["properties"]["insurer"]
    assert set(insurer["enum"]) == set(billing.INSURERS)
    booking = folder.tools["book_appointment"].input_schema["properties"]
    assert set(booking["service"]["enum"]) == set(calendar.SERVICES)
    assert set(booking["doctor"]["enum"]) == {doctor.name for doctor in calendar.DOCTORS if doctor.name}

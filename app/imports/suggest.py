"""Which field a column probably is, by its name and its first values (SPEC I2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from app.contacts.custom_keys import custom_key
from app.errors import Refused
from app.imports.columns import CUSTOM, ColumnMap, fields_of, reserved_of

# English, French, German, Spanish; written without accents, spaces and signs.
NAMES: Mapping[str, str] = {
    "email": """email emailaddress mail mailaddress emailid contactemail useremail primaryemail
        workemail courriel adresseemail adressemail adresseelectronique adressecourriel mel
        emailadresse mailadresse epost correo correoelectronico direcciondecorreo email1
        direcciondecorreoelectronico direcciondeemail""",
    "first_name": """firstname givenname forename prenom vorname rufname nombredepila primernombre
        nombrepila""",
    "last_name": """lastname surname familyname secondname nomdefamille nachname familienname
        zuname apellido apellidos primerapellido""",
    "name": """name fullname contactname username nickname displayname nom nomcomplet nometprenom
        prenometnom vollername vollstandigername vollstaendigername kontaktname namevollstandig
        nombre nombrecompleto nombreyapellidos nombreyapellido contact kontakt contacto""",
    "phone": """phone phonenumber telephone telephonenumber tel mobile mobilephone mobilenumber
        cell cellphone numerodetelephone numtelephone portable telephoneportable mobil telefon
        telefonnummer handy handynummer rufnummer mobilnummer mobiltelefon telefono
        numerodetelefono movil celular telefonomovil""",
    "avatar": """avatar avatarurl picture photo photourl image imageurl profilepicture
        photodeprofil bild profilbild foto fotodeperfil imagen""",
    "job_title": """jobtitle title job position occupation intituleduposte poste fonction
        titreduposte profession jobbezeichnung berufsbezeichnung beruf stelle stellenbezeichnung
        cargo puesto puestodetrabajo ocupacion profesion titulodelpuesto employmenttitle""",
    "role": "role userrole rolle funktion rol funcion",
    "company_name": """company companyname organization organisation organisationname
        organizationname account accountname employer business entreprise societe nomdelentreprise
        nomdelasociete nomentreprise raisonsociale employeur firma firmenname unternehmen
        unternehmensname arbeitgeber empresa nombredelaempresa compania nombreempresa
        razonsocial organizacion employmentname""",
    "company_url": """companyurl companywebsite companydomain companysite website websiteurl url
        domain homepage siteweb siteinternet siteentreprise urldelentreprise domaine webseite
        webseiteurl internetseite firmenwebsite domane domaene firmendomain sitioweb paginaweb
        web dominio urldelaempresa sitiowebdelaempresa""",
    "company_description": """companydescription aboutcompany descriptiondelentreprise
        descriptionentreprise firmenbeschreibung unternehmensbeschreibung
        descripciondelaempresa descripcionempresa""",
    "country": """country countrycode countryname nation pays codepays land landercode laendercode
        landkurzel landkuerzel staat pais codigodepais codigopais geolocationcountry""",
    "region": """region state province county regionetat departement etat bundesland
        provincia estado comunidadautonoma comunidad geolocationregion""",
    "city": """city town cityname ville commune localite stadt ort wohnort ciudad localidad
        municipio poblacion geolocationcity""",
    "time_zone": """timezone tz timezonename fuseauhoraire fuseau zeitzone zonahoraria
        husohorario""",
    "locales": """locale locales language languages lang langue langues sprache sprachen idioma
        idiomas lengua""",
    "segments": """segments segment tags tag labels label groups group lists list etiquette
        etiquettes groupe groupes segmente schlagworter schlagwoerter gruppen gruppe etiketten
        etiquetas segmentos segmento grupos grupo""",
    "created": """created createdat createdon creationdate datecreated dateadded signupdate
        signedup signedupat signupat registered registeredat registrationdate joined joinedat
        since cree creele creeele datedecreation dateinscription datedinscription inscritle
        erstellt erstelltam erstelldatum angelegt angelegtam registriert registriertam
        anmeldedatum registrierungsdatum creado creadoel fechadecreacion fechadealta fechacreacion
        fechaderegistro""",
    "last_active": """lastactive lastactiveat lastactivity lastactivitydate lastseen lastseenat
        lastlogin lastloginat lastvisit activelast dernieractif derniereactivite
        derniereconnexion dernierevisite datedederniereactivite zuletztaktiv zuletztaktivam
        letzteaktivitat letzteaktivitaet zuletztgesehen letzteranmeldung letzterlogin letzterbesuch
        ultimaactividad ultimavisita ultimaconexion ultimoacceso vistoporultimavez""",
}
OF_COMPANIES: Mapping[str, str] = {
    "company_name": "name nom nombre bezeichnung denomination",
    "company_description": "description beschreibung descripcion",
    "other_names": """othernames alsoknownas aliases autresnoms weiterenamen anderenamen
        otrosnombres""",
    "other_domains": """otherdomains moredomains additionaldomains autresdomaines weiteredomains
        anderedomains otrosdominios""",
}
"""As NAMES, beside its own, where each row is a company."""


def _by_word(*told: Mapping[str, str]) -> dict[str, str]:
    return {
        word: field for names in told for field, words in names.items() for word in words.split()
    }


_FIELD_OF = {"contacts": _by_word(NAMES), "companies": _by_word(NAMES, OF_COMPANIES)}
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,11})\.\d{1,9}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_YES_NO = frozenset({"true", "false", "yes", "no"})


def plain(name: str) -> str:
    """`Prénom (client)` to `prenomclient`."""
    folded = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in folded if c.isalnum())


def suggest(
    names: Sequence[str],
    samples: Sequence[Sequence[str]],
    known: Mapping[str, ColumnMap],
    kind: str = "contacts",
) -> list[ColumnMap]:
    """One for each column; `samples` are rows, `known` the custom attributes there are, by key.

    Of two columns that look like one field the first is taken. Where no name tells, an address does.
    """
    taken: set[str] = set()
    found: list[ColumnMap] = []
    for number, name in enumerate(names):
        cells = [row[number].strip() for row in samples if number < len(row)]
        guess = _guess(name, [cell for cell in cells if cell], known, kind)
        if guess.to in taken:
            guess = ColumnMap(name)
        taken |= {guess.to} if guess.to else set()
        found.append(guess)
    if "email" in taken or kind == "companies":
        return found
    return _address_by_value(found, samples)


def _guess(name: str, cells: Sequence[str], known: Mapping[str, ColumnMap], kind: str) -> ColumnMap:
    if name.strip().lower().startswith(CUSTOM):
        return _custom(name, name.strip()[len(CUSTOM) :], cells, known, kind)
    field = _FIELD_OF[kind].get(plain(name))
    if field in fields_of(kind):
        return ColumnMap(name, field)
    if name.strip().lower() in known:
        return _custom(name, name, cells, known, kind)
    return ColumnMap(name)


def _custom(
    name: str, told: str, cells: Sequence[str], known: Mapping[str, ColumnMap], kind: str
) -> ColumnMap:
    try:
        key = custom_key(told)
    except Refused:
        return ColumnMap(name)
    if key in reserved_of(kind):
        return ColumnMap(name, reserved_of(kind)[key])
    if key in known:
        return ColumnMap(name, f"{CUSTOM}{key}", known[key].type, known[key].choices)
    return ColumnMap(name, f"{CUSTOM}{key}", type_of(cells))


def type_of(cells: Sequence[str]) -> str:
    """The type that all of them have. Codes with leading zeros and very long numbers are text (SPEC I3)."""
    if not cells:
        return "text"
    if all(_INTEGER.fullmatch(cell) for cell in cells):
        return "integer"
    if all(_DECIMAL.fullmatch(cell) or _INTEGER.fullmatch(cell) for cell in cells):
        return "decimal"
    if all(_DATE.fullmatch(cell) for cell in cells):
        return "date"
    return "yes_no" if all(cell.lower() in _YES_NO for cell in cells) else "text"


def _address_by_value(
    columns: list[ColumnMap], samples: Sequence[Sequence[str]]
) -> list[ColumnMap]:
    for number, column in enumerate(columns):
        cells = [row[number] for row in samples if number < len(row) and row[number].strip()]
        if column.to is None and cells and all("@" in cell for cell in cells):
            return [*columns[:number], ColumnMap(column.column, "email"), *columns[number + 1 :]]
    return columns

import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.DatabaseBinaryContentStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.HibernatePropertiesProvider;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/** A HAPI FHIR JPA server (R4) on loopback, for tests: java Hapi PORT DATABASE-FILE. */
public class Hapi {
  public static void main(String[] args) throws Exception {
    int port = Integer.parseInt(args[0]);
    System.setProperty("hapi.database", args[1]);
    var context = new AnnotationConfigApplicationContext(Settings.class);
    var server = new Server();
    var connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    var handler = new ServletContextHandler();
    handler.addServlet(new ServletHolder(context.getBean(RestfulServer.class)), "/fhir/*");
    server.setHandler(handler);
    server.setStopAtShutdown(true);
    server.start();
    System.out.println("hapi listens on 127.0.0.1:" + connector.getLocalPort());
    export(context.getBean(IJobMaintenanceService.class));
  }

  /** Takes export jobs on at once, where the scheduler would do it once a minute. */
  private static void export(IJobMaintenanceService jobs) throws InterruptedException {
    for (;;) {
      jobs.runMaintenancePass();
      Thread.sleep(500);
    }
  }

  @Configuration
  @Import({JpaR4Config.class, HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class, ThreadPoolFactoryConfig.class, SubscriptionChannelConfig.class})
  static class Settings {
    @Bean
    DataSource dataSource() {
      return JdbcConnectionPool.create("jdbc:h2:file:" + System.getProperty("hapi.database") + "", "sa", "");
    }

    @Bean
    JpaStorageSettings storageSettings() {
      var s = new JpaStorageSettings();
      s.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY); // ids such as Patient/1
      s.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
      s.setReuseCachedSearchResultsForMillis(null); // a search sees what was just written
      s.setSchedulingDisabled(true);
      s.setAllowContainsSearches(true);
      s.setAllowExternalReferences(true);
      s.setEnforceReferentialIntegrityOnDelete(false);
      return s;
    }

    @Bean
    PartitionSettings partitionSettings() {
      return new PartitionSettings();
    }

    @Bean
    SubscriptionSettings subscriptionSettings() {
      return new SubscriptionSettings();
    }

    @Bean
    IBinaryStorageSvc binaryStorage() {
      return new DatabaseBinaryContentStorageSvcImpl();
    }

    @Primary
    @Bean
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
        DataSource source, ConfigurableListableBeanFactory beans, FhirContext fhir, JpaStorageSettings settings) {
      var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
      factory.setPersistenceUnitName("HAPI");
      factory.setDataSource(source);
      var p = new Properties();
      p.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
      p.put("hibernate.hbm2ddl.auto", Files.exists(Path.of(System.getProperty("hapi.database") + ".mv.db")) ? "none" : "update");
      p.put("hibernate.jdbc.batch_size", "20");
      p.put("hibernate.search.enabled", "false");
      factory.setJpaProperties(p);
      return factory;
    }

    @Primary
    @Bean
    HibernatePropertiesProvider hibernateProperties(LocalContainerEntityManagerFactoryBean factory) {
      return new HibernatePropertiesProvider();
    }

    @Primary
    @Bean
    JpaTransactionManager transactionManager(EntityManagerFactory factory) {
      return new JpaTransactionManager(factory);
    }

    @Bean
    RestfulServer restfulServer(FhirContext fhir, ResourceProviderFactory providers, JpaSystemProvider<?, ?> system, IFhirSystemDao<?, ?> dao,
        JpaStorageSettings settings, ISearchParamRegistry parameters, IValidationSupport validation, DatabaseBackedPagingProvider paging,
        BulkDataExportProvider exports) {
      paging.setDefaultPageSize(20);
      paging.setMaximumPageSize(200);
      var server = new RestfulServer(fhir);
      server.registerProviders(providers.createProviders());
      server.registerProvider(system);
      server.registerProvider(exports);
      server.setServerConformanceProvider(new JpaCapabilityStatementProvider(server, dao, settings, parameters, validation));
      server.setPagingProvider(paging);
      return server;
    }
  }
}
